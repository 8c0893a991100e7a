import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

import org.apache.kafka.tools.DumpLogSegments;

/** kafka-dump-log, reduced to what it does not accept. */
final class DumpLog {
    /** What the tool says about a file that is not as it should be. */
    private static final List<String> COMPLAINTS = List.of(
            "isvalid: false",
            "Error at ",
            "Failed to decode",
            "Unknown record type",
            "The following indexed offsets are not found",
            "Indexed offset: ",
            "Found out of order timestamp",
            "Found timestamp mismatch",
            "Index timestamp: ",
            "invalid bytes at the end",
            "Mismatches in",
            "Index offset: ",
            " is followed by ",
            "Ignoring unknown file",
            "Exception");

    /** What it says about every segment but the first of a log, since it expects the first offset to be 0. */
    private static final String NO_COMPLAINT = "  -1 is followed by ";

    private DumpLog() {
    }

    /** Prints "lines N", and every line that complains. */
    static void print(List<String> options, List<String> files) throws Exception {
        List<String> arguments = new ArrayList<>();
        for (String option : options) {
            if (!option.equals("none")) {
                arguments.add("--" + option);
            }
        }
        for (String file : files) {
            List<String> forFile = new ArrayList<>(arguments);
            forFile.add("--files");
            forFile.add(file);
            List<String> lines = linesOf(forFile);
            for (String line : lines) {
                if (COMPLAINTS.stream().anyMatch(line::contains) && !line.startsWith(NO_COMPLAINT)) {
                    Swap.OUT.println("complaint " + file + ": " + line);
                }
            }
            Swap.OUT.println("lines " + lines.size());
        }
    }

    private static List<String> linesOf(List<String> arguments) {
        PrintStream out = System.out;
        PrintStream err = System.err;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        try (PrintStream captured = new PrintStream(printed, true, StandardCharsets.UTF_8)) {
            System.setOut(captured);
            System.setErr(captured);
            DumpLogSegments.main(arguments.toArray(String[]::new));
        } catch (Exception failure) {
            printed.writeBytes(("\nException " + failure + "\n").getBytes(StandardCharsets.UTF_8));
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
        return printed.toString(StandardCharsets.UTF_8).lines().toList();
    }
}
