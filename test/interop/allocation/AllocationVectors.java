import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.consumer.AllocateMessageQueueStrategy;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMachineRoomNearby;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragelyByCircle;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueByConfig;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueByMachineRoom;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueConsistentHash;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Writes down what the Java client allocates: test/vectors/allocation.json. Needs the jars of rocketmq-client.
 *
 * <pre>java -cp "$ROCKETMQ_LIB/*" test/interop/allocation/AllocationVectors.java 5.5.0 test/vectors/allocation.json</pre>
 */
public class AllocationVectors {
    private static final String GROUP = "vectors";
    private static final String TOPIC = "allocation";
    private static final int[] QUEUE_COUNTS = {1, 3, 8, 17};
    private static final int[] MEMBER_COUNTS = {1, 2, 3, 7, 20};

    private static final List<String> cases = new ArrayList<>();

    public static void main(String[] args) throws Exception {
        for (int queues : QUEUE_COUNTS) {
            for (int members : MEMBER_COUNTS) {
                List<MessageQueue> mqAll = queues("broker-a", "broker-b", queues);
                List<String> cidAll = members(members);
                record(new AllocateMessageQueueAveragely(), "{}", mqAll, cidAll);
                record(new AllocateMessageQueueAveragelyByCircle(), "{}", mqAll, cidAll);
                record(new AllocateMessageQueueConsistentHash(), "{}", mqAll, cidAll);
                record(new AllocateMessageQueueConsistentHash(1), "{\"virtualNodes\":1}", mqAll, cidAll);
                record(new AllocateMessageQueueConsistentHash(100), "{\"virtualNodes\":100}", mqAll, cidAll);

                List<MessageQueue> rooms = queues("room1@broker-a", "room2@broker-b", queues);
                machineRoom(rooms, cidAll, "room1");
                machineRoom(rooms, cidAll, "room1", "room2");
                machineRoom(rooms, cidAll, "room3");
                machineRoom(mqAll, cidAll, "room1");
                nearby(new AllocateMessageQueueAveragely(), rooms, cidAll);
                nearby(new AllocateMessageQueueAveragelyByCircle(), rooms, cidAll);
                nearby(new AllocateMessageQueueConsistentHash(), rooms, cidAll);
            }
        }
        AllocateMessageQueueByConfig byConfig = new AllocateMessageQueueByConfig();
        List<MessageQueue> mqAll = queues("broker-a", "broker-b", 8);
        byConfig.setMessageQueueList(Arrays.asList(mqAll.get(6), mqAll.get(1)));
        record(byConfig, "{\"assigned\":[6,1]}", mqAll, members(3));

        String json = "{\"generatedWith\":\"rocketmq-client " + args[0] + "\",\"topic\":\"" + TOPIC + "\",\"cases\":[\n"
            + String.join(",\n", cases) + "\n]}\n";
        Files.write(Paths.get(args[1]), json.getBytes(StandardCharsets.UTF_8));
    }

    private static void machineRoom(List<MessageQueue> mqAll, List<String> cidAll, String... rooms) {
        AllocateMessageQueueByMachineRoom strategy = new AllocateMessageQueueByMachineRoom();
        strategy.setConsumeridcs(new HashSet<>(Arrays.asList(rooms)));
        record(strategy, "{\"rooms\":[\"" + String.join("\",\"", rooms) + "\"]}", mqAll, cidAll);
    }

    /** Brokers are named room@broker; members room1 and room3 in turn, so that room2 has nobody. */
    private static void nearby(AllocateMessageQueueStrategy inner, List<MessageQueue> mqAll, List<String> cidAll) {
        record(
            new AllocateMachineRoomNearby(inner, new AllocateMachineRoomNearby.MachineRoomResolver() {
                @Override
                public String brokerDeployIn(MessageQueue mq) {
                    return mq.getBrokerName().split("@")[0];
                }

                @Override
                public String consumerDeployIn(String clientId) {
                    return cidAll.indexOf(clientId) % 2 == 0 ? "room1" : "room3";
                }
            }),
            "{\"inner\":\"" + inner.getName() + "\"}", mqAll, cidAll);
    }

    private static List<MessageQueue> queues(String brokerA, String brokerB, int count) {
        List<MessageQueue> mqAll = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            mqAll.add(new MessageQueue(TOPIC, i % 2 == 0 ? brokerA : brokerB, i / 2));
        }
        Collections.sort(mqAll);
        return mqAll;
    }

    /** Names that sort differently by length, case and beyond ASCII. */
    private static List<String> members(int count) {
        List<String> cidAll = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            String name = i % 3 == 0 ? "Node@" : i % 3 == 1 ? "java\u00e9@" : "10.0.0.";
            cidAll.add(name + i);
        }
        Collections.sort(cidAll);
        return cidAll;
    }

    private static void record(
        AllocateMessageQueueStrategy strategy, String options, List<MessageQueue> mqAll, List<String> cidAll) {
        Map<String, List<Integer>> allocated = new TreeMap<>();
        List<String> asking = new ArrayList<>(cidAll);
        asking.add("not-a-member");
        for (String cid : asking) {
            List<Integer> indexes = new ArrayList<>();
            for (MessageQueue mq : strategy.allocate(GROUP, cid, mqAll, cidAll)) {
                indexes.add(mqAll.indexOf(mq));
            }
            allocated.put(cid, indexes);
        }
        StringBuilder json = new StringBuilder();
        json.append("{\"strategy\":\"").append(strategy.getName()).append("\",\"options\":").append(options);
        json.append(",\"queues\":[");
        for (MessageQueue mq : mqAll) {
            json.append(mq == mqAll.get(0) ? "" : ",").append('"')
                .append(mq.getBrokerName()).append(':').append(mq.getQueueId()).append('"');
        }
        json.append("],\"members\":[");
        for (String cid : cidAll) {
            json.append(cid.equals(cidAll.get(0)) ? "" : ",").append('"').append(cid).append('"');
        }
        json.append("],\"allocated\":{");
        String separator = "";
        for (Map.Entry<String, List<Integer>> entry : allocated.entrySet()) {
            json.append(separator).append('"').append(entry.getKey()).append("\":")
                .append(entry.getValue().toString().replace(" ", ""));
            separator = ",";
        }
        cases.add(json.append("}}").toString());
    }
}
