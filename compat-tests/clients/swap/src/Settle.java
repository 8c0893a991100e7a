import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;

/** Ends every transaction that is open, whoever began it, and waits until nothing is held back any more. */
final class Settle {
    private static final long PATIENCE_NS = 60_000_000_000L;

    private Settle() {
    }

    static void run(String bootstrap) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            List<String> open = open(admin);
            if (open.isEmpty()) {
                throw new IllegalStateException("no transaction is open, and one should be");
            }
            admin.fenceProducers(open).all().get();
            long deadline = System.nanoTime() + PATIENCE_NS;
            while (!open(admin).isEmpty() || !heldBack(admin).isEmpty()) {
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException("still open: " + open(admin) + ", held back: " + heldBack(admin));
                }
                Thread.sleep(100);
            }
        }
    }

    private static List<String> open(Admin admin) throws Exception {
        return admin.listTransactions().all().get().stream()
                .filter(transaction -> transaction.state() != TransactionState.COMPLETE_COMMIT
                        && transaction.state() != TransactionState.COMPLETE_ABORT
                        && transaction.state() != TransactionState.EMPTY)
                .map(TransactionListing::transactionalId)
                .toList();
    }

    /** The partitions whose last stable offset is not their end. */
    private static List<TopicPartition> heldBack(Admin admin) throws Exception {
        Map<TopicPartition, OffsetSpec> latest = new java.util.HashMap<>();
        admin.describeTopics(admin.listTopics().names().get()).allTopicNames().get().forEach((name, topic) ->
                topic.partitions().forEach(partition ->
                        latest.put(new TopicPartition(name, partition.partition()), OffsetSpec.latest())));
        var ends = admin.listOffsets(latest, new ListOffsetsOptions(IsolationLevel.READ_UNCOMMITTED)).all().get();
        var stable = admin.listOffsets(latest, new ListOffsetsOptions(IsolationLevel.READ_COMMITTED)).all().get();
        List<TopicPartition> heldBack = new ArrayList<>(latest.keySet());
        heldBack.removeIf(partition -> ends.get(partition).offset() == stable.get(partition).offset());
        return heldBack;
    }
}
