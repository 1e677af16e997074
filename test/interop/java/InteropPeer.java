import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;

/**
 * The Java side of the interop tests: a producer and a consumer on the official remoting client.
 * One JSON object per line on standard output; the consumer leaves when standard input closes.
 *
 * produce NAME_SERVER TOPIC RUN [5]     sends one message of every kind; kinds of 5.x brokers with "5"
 * consume NAME_SERVER TOPIC GROUP MODE  concurrent | orderly | broadcasting
 * request NAME_SERVER TOPIC RUN         sends a request and prints its reply
 * reply NAME_SERVER TOPIC GROUP         replies to every request
 */
public final class InteropPeer {
    /** A busy machine is not a failure. */
    private static final int PATIENCE_MS = 60_000;

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "produce" -> produce(args[1], args[2], args[3], args.length > 4 && args[4].equals("5"));
            case "consume" -> consume(args[1], args[2], args[3], args[4]);
            case "request" -> request(args[1], args[2], args[3]);
            case "reply" -> reply(args[1], args[2], args[3]);
            default -> throw new IllegalArgumentException(args[0]);
        }
        System.exit(0);
    }

    private static void produce(String nameServer, String topic, String run, boolean five) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("java-" + run);
        producer.setNamesrvAddr(nameServer);
        producer.setSendMsgTimeout(PATIENCE_MS);
        producer.start();
        sent("plain", producer.send(message(topic, "plain", null, "java plain")));
        sent("unicode", producer.send(message(topic, "unicode", null, "Grüße 消息 😀")));
        Message rich = message(topic, "rich", "created", "java rich");
        rich.setKeys(List.of("k1-" + run, "k2-" + run));
        rich.putUserProperty("trace", "a=b;c=d");
        rich.putUserProperty("unicode", "Grüße 消息");
        sent("rich", producer.send(rich));
        sent("compressed", producer.send(message(topic, "compressed", null, "java ".repeat(4000))));
        List<Message> batch = new ArrayList<>();
        for (int i = 0; i < 3; i++) batch.add(message(topic, "batch-" + i, "created", "java batch " + i));
        sent("batch", producer.send(batch));
        for (int i = 0; i < 5; i++) {
            Message ordered = message(topic, "ordered-" + i, null, "java ordered " + i);
            sent("ordered-" + i, producer.send(ordered, new SelectMessageQueueByHash(), "order-7"));
        }
        Message delayed = message(topic, "delay-level", null, "java delayed");
        delayed.setDelayTimeLevel(2);
        sent("delay-level", producer.send(delayed));
        if (five) {
            Message timed = message(topic, "timer", null, "java timer");
            timed.setDelayTimeMs(1500);
            sent("timer", producer.send(timed));
        }
        producer.sendOneway(message(topic, "one-way", null, "java one-way"));
        transactions(nameServer, topic, run);
        producer.shutdown();
    }

    private static void transactions(String nameServer, String topic, String run) throws Exception {
        TransactionMQProducer producer = new TransactionMQProducer("java-tx-" + run);
        producer.setNamesrvAddr(nameServer);
        producer.setSendMsgTimeout(PATIENCE_MS);
        producer.setTransactionListener(new TransactionListener() {
            @Override public LocalTransactionState executeLocalTransaction(Message message, Object outcome) {
                return (LocalTransactionState) outcome;
            }
            @Override public LocalTransactionState checkLocalTransaction(MessageExt message) {
                // A 5.x broker writes down ends of transactions in batches and may ask about one it has heard of: answer the truth.
                return "tx-rollback".equals(message.getUserProperty("kind"))
                    ? LocalTransactionState.ROLLBACK_MESSAGE : LocalTransactionState.COMMIT_MESSAGE;
            }
        });
        producer.start();
        producer.sendMessageInTransaction(message(topic, "tx-commit", null, "java tx"), LocalTransactionState.COMMIT_MESSAGE);
        producer.sendMessageInTransaction(message(topic, "tx-rollback", null, "java tx"), LocalTransactionState.ROLLBACK_MESSAGE);
        producer.sendMessageInTransaction(message(topic, "tx-checked", null, "java tx"), LocalTransactionState.UNKNOW);
        // The broker asks after its timeout; stay long enough to answer.
        Thread.sleep(8_000);
        producer.shutdown();
    }

    private static Message message(String topic, String kind, String tag, String body) {
        Message message = new Message(topic, tag, null, body.getBytes(StandardCharsets.UTF_8));
        message.putUserProperty("kind", kind);
        return message;
    }

    private static void sent(String kind, SendResult result) {
        line(Map.of("sent", kind, "msgId", result.getMsgId(), "status", result.getSendStatus().name(),
            "queueId", String.valueOf(result.getMessageQueue() == null ? -1 : result.getMessageQueue().getQueueId())));
    }

    private static void consume(String nameServer, String topic, String group, String mode) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(nameServer);
        consumer.setInstanceName("java-" + ProcessHandle.current().pid());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        if (mode.equals("broadcasting")) consumer.setMessageModel(MessageModel.BROADCASTING);
        consumer.subscribe(topic, "*");
        if (mode.equals("orderly")) {
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                messages.forEach(InteropPeer::received);
                return ConsumeOrderlyStatus.SUCCESS;
            });
        } else {
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                boolean retry = messages.stream().anyMatch(m -> m.getReconsumeTimes() == 0 && "java-retry".equals(m.getUserProperty("kind")));
                messages.forEach(InteropPeer::received);
                return retry ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
        }
        consumer.start();
        line(Map.of("started", group));
        InputStream in = System.in;
        while (in.read() >= 0) { }
        consumer.shutdown();
        line(Map.of("stopped", group));
    }

    private static void request(String nameServer, String topic, String run) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("java-request-" + run);
        producer.setNamesrvAddr(nameServer);
        producer.start();
        Message reply = producer.request(message(topic, "request", null, "java asks"), 60_000);
        line(Map.of("received", String.valueOf(reply.getUserProperty("kind")),
            "body", Base64.getEncoder().encodeToString(reply.getBody())));
        producer.shutdown();
    }

    private static void reply(String nameServer, String topic, String group) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer(group + "-producer");
        producer.setNamesrvAddr(nameServer);
        producer.setSendMsgTimeout(PATIENCE_MS);
        producer.start();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(nameServer);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt request : messages) {
                try {
                    String body = "java answers " + new String(request.getBody(), StandardCharsets.UTF_8);
                    Message reply = MessageUtil.createReplyMessage(request, body.getBytes(StandardCharsets.UTF_8));
                    reply.putUserProperty("kind", "answer");
                    producer.send(reply, 10_000);
                } catch (Exception e) {
                    e.printStackTrace();
                    return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        line(Map.of("started", group));
        InputStream in = System.in;
        while (in.read() >= 0) { }
        consumer.shutdown();
        producer.shutdown();
        line(Map.of("stopped", group));
    }

    private static void received(MessageExt message) {
        line(Map.ofEntries(
            Map.entry("received", String.valueOf(message.getUserProperty("kind"))),
            Map.entry("msgId", message.getMsgId()),
            Map.entry("topic", message.getTopic()),
            Map.entry("tags", String.valueOf(message.getTags())),
            Map.entry("keys", String.valueOf(message.getKeys())),
            Map.entry("trace", String.valueOf(message.getUserProperty("trace"))),
            Map.entry("unicode", String.valueOf(message.getUserProperty("unicode"))),
            Map.entry("queueId", String.valueOf(message.getQueueId())),
            Map.entry("queueOffset", String.valueOf(message.getQueueOffset())),
            Map.entry("reconsumeTimes", String.valueOf(message.getReconsumeTimes())),
            Map.entry("body", Base64.getEncoder().encodeToString(message.getBody()))));
    }

    /** Values are plain text: enough escaping for JSON. */
    private static synchronized void line(Map<String, String> fields) {
        StringBuilder json = new StringBuilder("{");
        fields.forEach((key, value) -> json.append(json.length() == 1 ? "" : ",").append('"').append(key).append("\":\"")
            .append(value.replace("\\", "\\\\").replace("\"", "\\\"")).append('"'));
        System.out.println(json.append('}'));
    }
}
