import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;

/**
 * The Java client under the same load. One JVM for the whole run, so that its compiler is warm; commands come
 * line by line, each answered with `operations elapsedMillis cpuMillis`, latency with its percentiles.
 *
 * send TOPIC THREADS MILLIS SIZE | batch TOPIC THREADS MILLIS SIZE COUNT | oneway TOPIC THREADS MILLIS SIZE
 * consume TOPIC GROUP MESSAGES | orderly TOPIC GROUP MESSAGES | latency TOPIC GROUP PER_SECOND MILLIS SIZE
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
                case "oneway" -> send(words[1], number(words[2]), number(words[3]), number(words[4]), 0);
                case "consume" -> consume(words[1], words[2], number(words[3]), false);
                case "orderly" -> consume(words[1], words[2], number(words[3]), true);
                case "latency" -> latency(words[1], words[2], number(words[3]), number(words[4]), number(words[5]));
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
        long cpu = cpu();
        long started = System.nanoTime();
        long end = started + TimeUnit.MILLISECONDS.toNanos(millis);
        AtomicLong done = new AtomicLong();
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        for (int i = 0; i < threads; i++) {
            pool.submit(() -> {
                while (System.nanoTime() < end) {
                    if (count == 0) {
                        producer.sendOneway(new Message(topic, body));
                    } else if (count == 1) {
                        producer.send(new Message(topic, body));
                    } else {
                        List<Message> batch = new ArrayList<>(count);
                        for (int k = 0; k < count; k++) batch.add(new Message(topic, body));
                        producer.send(batch);
                    }
                    done.addAndGet(Math.max(1, count));
                }
                return null;
            });
        }
        pool.shutdown();
        pool.awaitTermination(1, TimeUnit.MINUTES);
        result(done.get(), started, cpu);
    }

    private static void consume(String topic, String group, int messages, boolean orderly) throws Exception {
        long cpu = cpu();
        CountDownLatch left = new CountDownLatch(messages);
        long[] first = new long[1];
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(nameServer);
        consumer.setInstanceName(group);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setPullBatchSize(32);
        consumer.subscribe(topic, "*");
        java.util.function.Consumer<List<? extends Message>> seen = batch -> {
            synchronized (first) {
                if (first[0] == 0) first[0] = System.nanoTime();
            }
            batch.forEach(message -> left.countDown());
        };
        if (orderly) {
            consumer.registerMessageListener((MessageListenerOrderly) (batch, context) -> {
                seen.accept(batch);
                return ConsumeOrderlyStatus.SUCCESS;
            });
        } else {
            consumer.registerMessageListener((MessageListenerConcurrently) (batch, context) -> {
                seen.accept(batch);
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
        }
        consumer.start();
        left.await(2, TimeUnit.MINUTES);
        result(messages - left.getCount(), first[0], cpu);
        consumer.shutdown();
    }

    /** Producer and consumer in this process; milliseconds from the call of send to the handler. */
    private static void latency(String topic, String group, int perSecond, int millis, int size) throws Exception {
        int total = (int) ((long) perSecond * millis / 1000);
        CountDownLatch left = new CountDownLatch(total);
        java.util.Queue<Long> took = new java.util.concurrent.ConcurrentLinkedQueue<>();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(nameServer);
        consumer.setInstanceName(group);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (batch, context) -> {
            for (var message : batch) {
                took.add(System.nanoTime() - java.nio.ByteBuffer.wrap(message.getBody()).getLong());
                left.countDown();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        // Until the consumer has its queues, messages only wait.
        Thread.sleep(2000);
        ExecutorService pool = Executors.newFixedThreadPool(64);
        long started = System.nanoTime();
        for (int sent = 0; sent < total;) {
            long due = Math.min(total, (System.nanoTime() - started) * perSecond / 1_000_000_000L);
            for (; sent < due; sent++) {
                byte[] body = java.nio.ByteBuffer.allocate(size).putLong(System.nanoTime()).array();
                pool.submit(() -> producer.send(new Message(topic, body)));
            }
            Thread.sleep(1);
        }
        left.await(1, TimeUnit.MINUTES);
        pool.shutdown();
        consumer.shutdown();
        long[] sorted = took.stream().mapToLong(Long::longValue).sorted().toArray();
        System.out.println("RESULT " + at(sorted, 0.5) + " " + at(sorted, 0.99) + " " + at(sorted, 0.999));
    }

    private static double at(long[] sorted, double share) {
        if (sorted.length == 0) return Double.NaN;
        return sorted[(int) Math.min(sorted.length - 1, sorted.length * share)] / 1_000_000.0;
    }

    private static long cpu() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
            .getProcessCpuTime();
    }

    private static void result(long operations, long started, long cpu) {
        System.out.println("RESULT " + operations + " " + (System.nanoTime() - started) / 1_000_000.0 + " "
            + (cpu() - cpu) / 1_000_000.0);
    }
}
