import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;

/**
 * The Java client under the same load. One JVM for the whole run, so that its compiler is warm; commands come
 * line by line, each answered with `operations elapsedMillis`.
 *
 * send TOPIC THREADS MILLIS SIZE | batch TOPIC THREADS MILLIS SIZE COUNT | consume TOPIC GROUP MESSAGES
 */
public final class BenchPeer {
    private static DefaultMQProducer producer;
    private static String nameServer;

    public static void main(String[] args) throws Exception {
        nameServer = args[0];
        producer = new DefaultMQProducer("bench-java");
        producer.setNamesrvAddr(nameServer);
        producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        producer.start();
        System.out.println("RESULT ready 0");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ");
            switch (words[0]) {
                case "send" -> send(words[1], number(words[2]), number(words[3]), number(words[4]), 1);
                case "batch" -> send(words[1], number(words[2]), number(words[3]), number(words[4]), number(words[5]));
                case "consume" -> consume(words[1], words[2], number(words[3]));
                default -> throw new IllegalArgumentException(line);
            }
        }
        producer.shutdown();
        System.exit(0);
    }

    private static int number(String text) {
        return Integer.parseInt(text);
    }

    private static void send(String topic, int threads, int millis, int size, int count) throws Exception {
        byte[] body = new byte[size];
        long started = System.nanoTime();
        long end = started + TimeUnit.MILLISECONDS.toNanos(millis);
        AtomicLong done = new AtomicLong();
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        for (int i = 0; i < threads; i++) {
            pool.submit(() -> {
                while (System.nanoTime() < end) {
                    if (count == 1) {
                        producer.send(new Message(topic, body));
                    } else {
                        List<Message> batch = new ArrayList<>(count);
                        for (int k = 0; k < count; k++) batch.add(new Message(topic, body));
                        producer.send(batch);
                    }
                    done.addAndGet(count);
                }
                return null;
            });
        }
        pool.shutdown();
        pool.awaitTermination(1, TimeUnit.MINUTES);
        result(done.get(), started);
    }

    private static void consume(String topic, String group, int messages) throws Exception {
        CountDownLatch left = new CountDownLatch(messages);
        long[] first = new long[1];
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(nameServer);
        consumer.setInstanceName(group);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setPullBatchSize(32);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (batch, context) -> {
            synchronized (first) {
                if (first[0] == 0) first[0] = System.nanoTime();
            }
            batch.forEach(message -> left.countDown());
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        left.await(2, TimeUnit.MINUTES);
        result(messages - left.getCount(), first[0]);
        consumer.shutdown();
    }

    private static void result(long operations, long started) {
        System.out.println("RESULT " + operations + " " + (System.nanoTime() - started) / 1_000_000.0);
    }
}
