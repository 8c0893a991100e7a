import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.StringJoiner;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/** The line format between the runner and this program: tab-separated fields, base64 for bytes, "-" for null. */
final class Lines {
    static final BufferedReader INPUT = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));

    private Lines() {}

    static synchronized void print(String line) {
        System.out.println(line);
        System.out.flush();
    }

    static byte[] decode(String field) {
        return field.equals("-") ? null : Base64.getDecoder().decode(field);
    }

    static String encode(byte[] bytes) {
        return bytes == null ? "-" : Base64.getEncoder().encodeToString(bytes);
    }

    static List<Header> decodeHeaders(String field) {
        List<Header> headers = new ArrayList<>();
        if (field.isEmpty()) {
            return headers;
        }
        for (String pair : field.split(",")) {
            int colon = pair.indexOf(':');
            String key = new String(decode(pair.substring(0, colon)), StandardCharsets.UTF_8);
            headers.add(new RecordHeader(key, decode(pair.substring(colon + 1))));
        }
        return headers;
    }

    static void printRecord(ConsumerRecord<byte[], byte[]> record) {
        StringJoiner headers = new StringJoiner(",");
        for (Header header : record.headers()) {
            headers.add(encode(header.key().getBytes(StandardCharsets.UTF_8)) + ":" + encode(header.value()));
        }
        print(String.join("\t", "record", record.topic(), "" + record.partition(), "" + record.offset(),
            "" + record.timestamp(), encode(record.key()), encode(record.value()), headers.toString()));
    }

    /** Tells of an operation that the client refused: the error and all that caused it, on one line. */
    static void printRefusal(Throwable error) {
        StringJoiner chain = new StringJoiner(" <- ");
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            chain.add(cause.toString());
        }
        print("refused\t" + chain.toString().replaceAll("\\s+", " "));
    }

    /** Standard input as a queue, for loops that must not block on it; the end of input reads as "leave". */
    static BlockingQueue<String> commands() {
        BlockingQueue<String> commands = new LinkedBlockingQueue<>();
        Thread reader = new Thread(() -> {
            INPUT.lines().forEach(commands::add);
            commands.add("leave");
        });
        reader.setDaemon(true);
        reader.start();
        return commands;
    }
}
