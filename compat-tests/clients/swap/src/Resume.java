import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.List;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.utils.ProducerIdAndEpoch;

/**
 * Goes on with a transaction that another process began. The client has no call for it; connectors that commit in two
 * phases (Flink's) reach into it like this.
 */
final class Resume {
    private Resume() {
    }

    /** Commits the open transaction of an id with a producer that has never begun one. Closes the producer. */
    static void andCommit(Admin admin, KafkaProducer<byte[], byte[]> producer, String id, String topic) throws Exception {
        TransactionDescription open = admin.describeTransactions(List.of(id)).description(id).get();
        try (producer) {
            // The client must have met the server to know what it can do.
            producer.partitionsFor(topic);
            Object transactions = field(producer, "transactionManager").get(producer);
            Method learn = transactions.getClass().getDeclaredMethod("maybeUpdateTransactionV2Enabled", boolean.class);
            learn.setAccessible(true);
            learn.invoke(transactions, true);
            field(transactions, "producerIdAndEpoch").set(
                    transactions, new ProducerIdAndEpoch(open.producerId(), (short) open.producerEpoch()));
            Field state = field(transactions, "currentState");
            for (Object constant : state.getType().getEnumConstants()) {
                if (constant.toString().equals("IN_TRANSACTION")) {
                    state.set(transactions, constant);
                }
            }
            field(transactions, "transactionStarted").set(transactions, true);
            producer.commitTransaction();
        }
    }

    private static Field field(Object owner, String name) throws Exception {
        Field field = owner.getClass().getDeclaredField(name);
        field.setAccessible(true);
        return field;
    }
}
