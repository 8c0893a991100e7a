import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * One process for all that the swap test asks of Apache's clients and tools, so that a JVM starts once and not a hundred
 * times. A line on standard input is a command with its arguments; the answer ends with a line "done" or "failed".
 *
 * work STAGE BOOTSTRAP SERVER     changes everything that can be changed (see Work)
 * dump BOOTSTRAP SERVER           prints everything that clients can see (see Dump)
 * settle BOOTSTRAP                ends the open transactions (see Settle)
 * dump-log OPTION,OPTION FILE...  prints what kafka-dump-log has to complain about (see DumpLog)
 *
 * SERVER is kafka or klamm; what only the former serves is left out for the latter.
 */
public final class Swap {
    static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    private Swap() {
    }

    public static void main(String[] args) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        String line;
        while ((line = input.readLine()) != null) {
            List<String> words = List.of(line.split(" "));
            try {
                run(words);
                OUT.println("done");
            } catch (Throwable failure) {
                failure.printStackTrace();
                OUT.println(failure.toString().replace('\n', ' '));
                OUT.println("failed");
            }
        }
        // Producers with an open transaction have threads that nobody will join.
        System.exit(0);
    }

    private static void run(List<String> words) throws Exception {
        switch (words.get(0)) {
            case "work" -> new Work(Integer.parseInt(words.get(1)), words.get(2), words.get(3).equals("kafka")).run();
            case "dump" -> new Dump(words.get(1), words.get(2).equals("kafka")).print();
            case "settle" -> Settle.run(words.get(1));
            case "dump-log" -> DumpLog.print(List.of(words.get(1).split(",")), words.subList(2, words.size()));
            default -> throw new IllegalArgumentException("unknown command " + words.get(0));
        }
    }
}
