import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONWriter;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TimeZone;
import org.apache.rocketmq.client.impl.factory.MQClientInstance;
import org.apache.rocketmq.common.UtilAll;
import org.apache.rocketmq.common.compression.CompressorFactory;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageClientIDSetter;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageExtBrokerInner;
import org.apache.rocketmq.common.message.MessageId;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.common.message.MessageVersion;
import org.apache.rocketmq.common.sysflag.MessageSysFlag;
import org.apache.rocketmq.remoting.protocol.LanguageCode;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.RemotingSerializable;
import org.apache.rocketmq.remoting.protocol.SerializeType;
import org.apache.rocketmq.remoting.protocol.admin.ConsumeStats;
import org.apache.rocketmq.remoting.protocol.admin.OffsetWrapper;
import org.apache.rocketmq.remoting.protocol.admin.TopicOffset;
import org.apache.rocketmq.remoting.protocol.admin.TopicStatsTable;
import org.apache.rocketmq.remoting.protocol.body.ClusterInfo;
import org.apache.rocketmq.remoting.protocol.body.LockBatchResponseBody;
import org.apache.rocketmq.remoting.protocol.body.ResetOffsetBody;
import org.apache.rocketmq.remoting.protocol.filter.FilterAPI;
import org.apache.rocketmq.remoting.protocol.heartbeat.ConsumerData;
import org.apache.rocketmq.remoting.protocol.heartbeat.HeartbeatData;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;
import org.apache.rocketmq.remoting.protocol.heartbeat.ConsumeType;
import org.apache.rocketmq.remoting.protocol.heartbeat.ProducerData;
import org.apache.rocketmq.remoting.protocol.heartbeat.SubscriptionData;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
import org.apache.rocketmq.remoting.protocol.route.QueueData;
import org.apache.rocketmq.remoting.protocol.route.TopicRouteData;
import org.apache.rocketmq.store.MessageExtEncoder;
import org.apache.rocketmq.store.config.MessageStoreConfig;

/**
 * Writes down what the Java classes make of the wire format: test/vectors/wire.json. Needs the jars of rocketmq-client
 * and rocketmq-store and, for the older style of route data, fastjson 1.2.
 *
 * <pre>java -cp "$ROCKETMQ_LIB/*" test/interop/vectors/WireVectors.java 5.5.0 test/vectors/wire.json</pre>
 */
public class WireVectors {
    private static final long BORN = 1_700_000_000_123L;
    private static final long STORED = 1_700_000_000_456L;
    private static final long BEYOND_32_BITS = 5_000_000_000_123L;

    public static void main(String[] args) throws Exception {
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("generatedWith", "rocketmq-client " + args[0]);
        all.put("frames", frames());
        all.put("messages", messages());
        all.put("properties", properties());
        all.put("batches", batches());
        all.put("offsetMessageIds", offsetMessageIds());
        all.put("uniqueKeys", uniqueKeys());
        all.put("hashCodes", hashCodes());
        all.put("subscriptions", subscriptions());
        all.put("heartbeat", heartbeat());
        all.put("routes", routes());
        all.put("clusterInfo", clusterInfo());
        all.put("queueMaps", queueMaps());
        String json = JSON.toJSONString(all, JSONWriter.Feature.PrettyFormat, JSONWriter.Feature.WriteNulls);
        Files.write(Paths.get(args[1]), (json + "\n").getBytes(StandardCharsets.UTF_8));
    }

    // ---- frames

    private static List<Object> frames() {
        List<Object> frames = new ArrayList<>();
        for (SerializeType type : SerializeType.values()) {
            frames.add(frame("request without anything", type, command(34, 0, 0, null, null, null)));
            frames.add(frame("request with fields and body", type,
                command(310, 7, 0, null, fields("a", "group", "b", "topic", "i", "KEYS\u0001k 1\u0002TAGS\u0001t\u0002"),
                    "body".getBytes(StandardCharsets.UTF_8))));
            frames.add(frame("one-way request", type,
                command(15, 2147483647, 2, null, fields("commitOffset", "9223372036854775807"), null)));
            frames.add(frame("answer with remark", type,
                command(17, 1, 1, "No topic route info: \"Prüfung\" \u4f60\u597d \uD83D\uDE80\n", null, null)));
            frames.add(frame("answer with fields beyond ASCII", type,
                command(0, 2, 1, null, fields("msgId", "Größe\\\"", "queueId", "3"), new byte[] {0, 1, (byte) 0xff})));
            frames.add(frame("one-way answer code", type, command(1500, 3, 3, "go away", null, null)));
        }
        return frames;
    }

    private static RemotingCommand command(int code, int opaque, int flag, String remark,
        HashMap<String, String> fields, byte[] body) {
        RemotingCommand command = RemotingCommand.createRequestCommand(code, null);
        command.setLanguage(LanguageCode.OTHER);
        command.setVersion(513);
        command.setOpaque(opaque);
        command.setFlag(flag);
        command.setRemark(remark);
        if (fields != null) command.setExtFields(fields);
        command.setBody(body);
        return command;
    }

    private static Map<String, Object> frame(String name, SerializeType type, RemotingCommand command) {
        command.setSerializeTypeCurrentRPC(type);
        Map<String, Object> frame = new LinkedHashMap<>();
        frame.put("name", name);
        frame.put("serializeType", (int) type.getCode());
        frame.put("code", command.getCode());
        frame.put("opaque", command.getOpaque());
        frame.put("flag", command.getFlag());
        frame.put("version", command.getVersion());
        frame.put("remark", command.getRemark());
        frame.put("fields", command.getExtFields() == null ? new HashMap<>() : command.getExtFields());
        frame.put("body", command.getBody() == null ? "" : hex(command.getBody()));
        frame.put("frame", hex(bytes(command.encode())));
        return frame;
    }

    // ---- stored messages

    private static List<Object> messages() throws Exception {
        List<Object> messages = new ArrayList<>();
        for (MessageVersion version : MessageVersion.values()) {
            for (String bornHost : new String[] {"10.1.2.3", "2001:db8::ff00:42:8329"}) {
                for (String storeHost : new String[] {"192.168.0.255", "fe80:0:0:1::1"}) {
                    for (int compression : new int[] {0, 1, 0x101, 0x201, 0x301}) {
                        for (boolean rich : new boolean[] {false, true}) {
                            messages.add(message("orders", version, bornHost, storeHost, compression, rich, false));
                        }
                    }
                }
            }
        }
        String longTopic = "%RETRY%" + "x".repeat(200);
        messages.add(message(longTopic, MessageVersion.MESSAGE_VERSION_V2, "10.1.2.3", "10.1.2.4", 0, true, false));
        messages.add(message("orders", MessageVersion.MESSAGE_VERSION_V1, "10.1.2.3", "10.1.2.4", 0, true, true));
        return messages;
    }

    /** As the broker's own encoder lays it out; offsets and store time are filled in when it is appended. */
    private static Map<String, Object> message(String topic, MessageVersion version, String bornHost, String storeHost,
        int compression, boolean rich, boolean appendCrc) throws Exception {
        MessageExtBrokerInner message = new MessageExtBrokerInner();
        message.setTopic(topic);
        message.setVersion(version);
        message.setFlag(rich ? 77 : 0);
        message.setQueueId(3);
        message.setBornTimestamp(BORN);
        message.setBornHost(new InetSocketAddress(InetAddress.getByName(bornHost), 54321));
        message.setStoreHost(new InetSocketAddress(InetAddress.getByName(storeHost), 10911));
        message.setReconsumeTimes(rich ? 2 : 0);
        message.setPreparedTransactionOffset(rich ? BEYOND_32_BITS + 2 : 0);
        int sysFlag = compression | (rich ? MessageSysFlag.TRANSACTION_COMMIT_TYPE : 0);
        message.setSysFlag(sysFlag);
        if (bornHost.contains(":")) message.setBornHostV6Flag();
        if (storeHost.contains(":")) message.setStoreHostAddressV6Flag();
        byte[] body = ("Grüße 你好 " + "abc".repeat(compression == 0 ? 1 : 40)).getBytes(StandardCharsets.UTF_8);
        byte[] stored = compression == 0 ? body
            : CompressorFactory.getCompressor(MessageSysFlag.getCompressionType(sysFlag)).compress(body, 5);
        message.setBody(stored);
        message.setBodyCRC(UtilAll.crc32(stored));
        if (rich) {
            message.putUserProperty("shop", "Köln");
            message.setKeys(List.of("k1", "k2"));
            message.setTags("created");
            MessageClientIDSetter.setUniqID(message);
        }
        message.setPropertiesString(MessageDecoder.messageProperties2String(message.getProperties()));
        MessageStoreConfig config = new MessageStoreConfig();
        config.setEnabledAppendPropCRC(appendCrc);
        MessageExtEncoder encoder = new MessageExtEncoder(config);
        encoder.encode(message);
        ByteBuffer buffer = encoder.getEncoderBuffer();
        byte[] bytes = new byte[buffer.getInt(0)];
        for (int index = 0; index < bytes.length; index++) bytes[index] = buffer.get(index);
        ByteBuffer appended = ByteBuffer.wrap(bytes);
        appended.putLong(20, BEYOND_32_BITS);
        appended.putLong(28, BEYOND_32_BITS + 1);
        appended.putLong(bornHost.contains(":") ? 68 : 56, STORED);
        if (appendCrc) {
            int reserved = MessageConst.PROPERTY_CRC32.length() + 1 + 10 + 1;
            int crc = UtilAll.crc32(bytes, 0, bytes.length - reserved);
            ByteBuffer tail = ByteBuffer.wrap(bytes, bytes.length - reserved, reserved);
            MessageDecoder.createCrc32(tail, crc);
        }
        MessageExt decoded = MessageDecoder.decode(ByteBuffer.wrap(bytes), true, true, false);

        Map<String, Object> vector = new LinkedHashMap<>();
        vector.put("bytes", hex(bytes));
        vector.put("topic", decoded.getTopic());
        vector.put("queueId", decoded.getQueueId());
        vector.put("flag", decoded.getFlag());
        vector.put("queueOffset", decoded.getQueueOffset());
        vector.put("commitLogOffset", decoded.getCommitLogOffset());
        vector.put("storedSysFlag", message.getSysFlag());
        vector.put("bornTimestamp", decoded.getBornTimestamp());
        vector.put("bornHost", hostHex(decoded.getBornHost()));
        vector.put("storeTimestamp", decoded.getStoreTimestamp());
        vector.put("storeHost", hostHex(decoded.getStoreHost()));
        vector.put("reconsumeTimes", decoded.getReconsumeTimes());
        vector.put("preparedTransactionOffset", decoded.getPreparedTransactionOffset());
        vector.put("body", hex(decoded.getBody()));
        vector.put("bodyCrc", decoded.getBodyCRC());
        vector.put("properties", decoded.getProperties());
        vector.put("storeSize", decoded.getStoreSize());
        vector.put("offsetMessageId", decoded.getMsgId());
        return vector;
    }

    private static String hostHex(java.net.SocketAddress address) {
        InetSocketAddress inet = (InetSocketAddress) address;
        return hex(inet.getAddress().getAddress()) + ":" + inet.getPort();
    }

    // ---- properties

    private static List<Object> properties() {
        List<Object> vectors = new ArrayList<>();
        vectors.add(properties(new LinkedHashMap<>()));
        vectors.add(properties(fields("KEYS", "a b", "TAGS", "Köln", "你好", "🚀=1,2")));
        vectors.add(properties(fields("a", "1")));
        for (String text : new String[] {
            "a\u00011\u0002b\u00012", "a\u0001\u0002b\u00012\u0002", "\u0001x\u0002b\u00012\u0002", "a\u0002b\u00012\u0002",
            "a", "\u0002\u0002\u0002", "a\u00011\u00012\u0002", "a\u00011\u0002a\u00012\u0002", "\u0001", "a\u0001"}) {
            Map<String, Object> vector = new LinkedHashMap<>();
            vector.put("text", text);
            vector.put("decoded", MessageDecoder.string2messageProperties(text));
            vectors.add(vector);
        }
        return vectors;
    }

    private static Map<String, Object> properties(Map<String, String> properties) {
        Map<String, Object> vector = new LinkedHashMap<>();
        String text = MessageDecoder.messageProperties2String(properties);
        vector.put("text", text);
        vector.put("encoded", properties);
        vector.put("decoded", MessageDecoder.string2messageProperties(text));
        return vector;
    }

    // ---- batches

    private static List<Object> batches() {
        List<Object> vectors = new ArrayList<>();
        for (int size : new int[] {1, 3}) {
            List<Message> batch = new ArrayList<>();
            List<Object> parts = new ArrayList<>();
            for (int index = 0; index < size; index++) {
                Message message = new Message("orders", ("Körper " + index).getBytes(StandardCharsets.UTF_8));
                message.setWaitStoreMsgOK(true);
                if (index > 0) message.putUserProperty("shop", "Köln " + index);
                message.setFlag(index);
                batch.add(message);
                Map<String, Object> part = new LinkedHashMap<>();
                part.put("flag", message.getFlag());
                part.put("body", hex(message.getBody()));
                part.put("properties", MessageDecoder.messageProperties2String(message.getProperties()));
                parts.add(part);
            }
            Map<String, Object> vector = new LinkedHashMap<>();
            vector.put("messages", parts);
            vector.put("bytes", hex(MessageDecoder.encodeMessages(batch)));
            vectors.add(vector);
        }
        return vectors;
    }

    // ---- ids and hashes

    private static List<Object> offsetMessageIds() throws Exception {
        List<Object> vectors = new ArrayList<>();
        for (String host : new String[] {"127.0.0.1", "255.0.10.200", "2001:db8::1", "::1"}) {
            for (long offset : new long[] {0, 1, BEYOND_32_BITS, 9007199254740991L}) {
                InetAddress address = InetAddress.getByName(host);
                String id = MessageDecoder.createMessageId(new InetSocketAddress(address, 10911), offset);
                MessageId decoded = MessageDecoder.decodeMessageId(id);
                Map<String, Object> vector = new LinkedHashMap<>();
                vector.put("host", host);
                vector.put("address", hostHex(decoded.getAddress()));
                vector.put("commitLogOffset", decoded.getOffset());
                vector.put("id", id);
                vectors.add(vector);
            }
        }
        return vectors;
    }

    private static List<Object> uniqueKeys() {
        List<Object> vectors = new ArrayList<>();
        for (int index = 0; index < 3; index++) {
            long before = System.currentTimeMillis();
            String id = MessageClientIDSetter.createUniqID();
            Map<String, Object> vector = new LinkedHashMap<>();
            vector.put("id", id);
            vector.put("ip", hex(MessageClientIDSetter.getIPFromID(id)));
            vector.put("pid", MessageClientIDSetter.getPidFromID(id));
            vector.put("madeAt", before);
            vectors.add(vector);
        }
        return vectors;
    }

    private static Map<String, Object> hashCodes() {
        Map<String, Object> codes = new LinkedHashMap<>();
        for (String text : new String[] {"", "a", "TagA", "created", "Köln", "你好", "🚀", "polygenelubricants",
            "The quick brown fox jumps over the lazy dog", "\u0000", "\uFFFF\uFFFF"}) {
            codes.put(text, text.hashCode());
        }
        return codes;
    }

    // ---- subscription and heartbeat

    private static List<Object> subscriptions() throws Exception {
        List<Object> vectors = new ArrayList<>();
        for (String expression : new String[] {"*", "", "a", "a || b", " a||b || a ", "||a|| ||b", "Köln||你好",
            "AaAa || BBBB"}) {
            vectors.add(subscription("TAG", expression));
        }
        vectors.add(subscription("SQL92", "amount > 100 AND shop IS NOT NULL"));
        return vectors;
    }

    private static Map<String, Object> subscription(String type, String expression) throws Exception {
        SubscriptionData data = FilterAPI.build("orders", expression, type);
        data.setSubVersion(BORN);
        Map<String, Object> vector = new LinkedHashMap<>();
        vector.put("type", type);
        vector.put("expression", expression);
        vector.put("data", JSON.parse(text(RemotingSerializable.encode(data))));
        return vector;
    }

    private static Object heartbeat() throws Exception {
        HeartbeatData heartbeat = new HeartbeatData();
        heartbeat.setClientID("10.0.0.1@instance");
        ProducerData producer = new ProducerData();
        producer.setGroupName("orders");
        heartbeat.getProducerDataSet().add(producer);
        ConsumerData consumer = new ConsumerData();
        consumer.setGroupName("inventory");
        consumer.setConsumeType(ConsumeType.CONSUME_PASSIVELY);
        consumer.setMessageModel(MessageModel.CLUSTERING);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET);
        SubscriptionData data = FilterAPI.buildSubscriptionData("orders", "a||b");
        data.setSubVersion(BORN);
        consumer.getSubscriptionDataSet().add(data);
        heartbeat.getConsumerDataSet().add(consumer);
        return JSON.parse(new String(heartbeat.encode(), StandardCharsets.UTF_8));
    }

    // ---- routes

    private static List<Object> routes() {
        List<Object> vectors = new ArrayList<>();
        TopicRouteData plain = new TopicRouteData();
        queue(plain, "broker-b", 4, 2, 6);
        queue(plain, "broker-a", 2, 3, 6);
        broker(plain, "broker-b", 0L, "10.0.0.2:10911", 1L, "10.0.0.3:10911");
        broker(plain, "broker-a", 0L, "10.0.0.1:10911");
        vectors.add(route("two brokers, not sorted", plain));

        TopicRouteData limited = new TopicRouteData();
        queue(limited, "read-only", 1, 1, 4);
        queue(limited, "write-only", 1, 1, 2);
        queue(limited, "no-master", 2, 2, 6);
        queue(limited, "unknown", 1, 1, 6);
        queue(limited, "Zebra", 1, 1, 6);
        broker(limited, "read-only", 0L, "10.0.0.1:10911");
        broker(limited, "write-only", 0L, "10.0.0.2:10911");
        broker(limited, "no-master", 1L, "10.0.0.3:10911", 2L, "10.0.0.4:10911");
        broker(limited, "Zebra", 0L, "10.0.0.5:10911");
        vectors.add(route("permissions and a broker without master", limited));

        TopicRouteData ordered = new TopicRouteData();
        ordered.setOrderTopicConf("broker-b:1;broker-a:2");
        queue(ordered, "broker-a", 2, 2, 6);
        queue(ordered, "broker-b", 1, 1, 6);
        broker(ordered, "broker-a", 0L, "10.0.0.1:10911");
        broker(ordered, "broker-b", 0L, "10.0.0.2:10911");
        vectors.add(route("ordered over all brokers", ordered));
        return vectors;
    }

    private static void queue(TopicRouteData route, String brokerName, int read, int write, int perm) {
        QueueData data = new QueueData();
        data.setBrokerName(brokerName);
        data.setReadQueueNums(read);
        data.setWriteQueueNums(write);
        data.setPerm(perm);
        data.setTopicSysFlag(0);
        if (route.getQueueDatas() == null) route.setQueueDatas(new ArrayList<>());
        route.getQueueDatas().add(data);
    }

    private static void broker(TopicRouteData route, String brokerName, Object... addresses) {
        if (route.getBrokerDatas() == null) route.setBrokerDatas(new ArrayList<>());
        route.getBrokerDatas().add(brokerData(brokerName, addresses));
    }

    private static BrokerData brokerData(String brokerName, Object... addresses) {
        HashMap<Long, String> byId = new HashMap<>();
        for (int index = 0; index < addresses.length; index += 2) {
            byId.put((Long) addresses[index], (String) addresses[index + 1]);
        }
        return new BrokerData("DefaultCluster", brokerName, byId);
    }

    private static Map<String, Object> route(String name, TopicRouteData route) {
        Map<String, Object> vector = new LinkedHashMap<>();
        vector.put("name", name);
        Map<String, Object> bodies = new LinkedHashMap<>();
        bodies.put("standard JSON", text(route.encode(JSONWriter.Feature.BrowserCompatible, JSONWriter.Feature.MapSortField)));
        bodies.put("fastjson2", text(route.encode()));
        bodies.put("fastjson 1.2 (4.9)", com.alibaba.fastjson.JSON.toJSONString(route, false));
        vector.put("bodies", bodies);
        route.getQueueDatas().sort(null);
        List<String> publish = new ArrayList<>();
        for (MessageQueue queue : MQClientInstance.topicRouteData2TopicPublishInfo("orders", route).getMessageQueueList()) {
            publish.add(queue.getBrokerName() + ":" + queue.getQueueId());
        }
        vector.put("publish", publish);
        List<MessageQueue> readable = new ArrayList<>(MQClientInstance.topicRouteData2TopicSubscribeInfo("orders", route));
        readable.sort(null);
        List<String> subscribe = new ArrayList<>();
        for (MessageQueue queue : readable) subscribe.add(queue.getBrokerName() + ":" + queue.getQueueId());
        vector.put("subscribe", subscribe);
        return vector;
    }

    private static Map<String, Object> clusterInfo() {
        ClusterInfo info = new ClusterInfo();
        Map<String, BrokerData> brokers = new HashMap<>();
        brokers.put("broker-b", brokerData("broker-b", 0L, "10.0.0.2:10911", 1L, "10.0.0.3:10911"));
        brokers.put("broker-a", brokerData("broker-a", 0L, "10.0.0.1:10911"));
        info.setBrokerAddrTable(brokers);
        Map<String, java.util.Set<String>> clusters = new HashMap<>();
        clusters.put("DefaultCluster", new java.util.TreeSet<>(List.of("broker-a", "broker-b")));
        info.setClusterAddrTable(clusters);
        Map<String, Object> bodies = new LinkedHashMap<>();
        bodies.put("fastjson2", text(info.encode()));
        bodies.put("fastjson 1.2 (4.9)", com.alibaba.fastjson.JSON.toJSONString(info, false));
        return bodies;
    }

    // ---- maps with queues as keys

    private static List<Object> queueMaps() {
        List<Object> vectors = new ArrayList<>();
        MessageQueue first = new MessageQueue("orders", "broker-a", 0);
        MessageQueue second = new MessageQueue("orders", "broker-b", 3);

        ConsumeStats consume = new ConsumeStats();
        consume.setConsumeTps(1.5);
        for (MessageQueue queue : new MessageQueue[] {first, second}) {
            OffsetWrapper offset = new OffsetWrapper();
            offset.setBrokerOffset(BEYOND_32_BITS + queue.getQueueId());
            offset.setConsumerOffset(12);
            offset.setLastTimestamp(STORED);
            consume.getOffsetTable().put(queue, offset);
        }
        vectors.add(queueMap("ConsumeStats", consume));

        TopicStatsTable stats = new TopicStatsTable();
        for (MessageQueue queue : new MessageQueue[] {first, second}) {
            TopicOffset offset = new TopicOffset();
            offset.setMinOffset(queue.getQueueId());
            offset.setMaxOffset(BEYOND_32_BITS);
            offset.setLastUpdateTimestamp(STORED);
            stats.getOffsetTable().put(queue, offset);
        }
        vectors.add(queueMap("TopicStatsTable", stats));

        ResetOffsetBody reset = new ResetOffsetBody();
        reset.setOffsetTable(new HashMap<>());
        reset.getOffsetTable().put(first, 7L);
        reset.getOffsetTable().put(second, BEYOND_32_BITS);
        vectors.add(queueMap("ResetOffsetBody", reset));

        LockBatchResponseBody lock = new LockBatchResponseBody();
        lock.getLockOKMQSet().add(first);
        lock.getLockOKMQSet().add(second);
        vectors.add(queueMap("LockBatchResponseBody", lock));
        return vectors;
    }

    private static Map<String, Object> queueMap(String name, RemotingSerializable body) {
        Map<String, Object> vector = new LinkedHashMap<>();
        vector.put("name", name);
        Map<String, Object> bodies = new LinkedHashMap<>();
        bodies.put("fastjson2", text(body.encode()));
        bodies.put("fastjson 1.2 (4.9)", com.alibaba.fastjson.JSON.toJSONString(body, false));
        vector.put("bodies", bodies);
        return vector;
    }

    // ---- helpers

    private static HashMap<String, String> fields(String... namesAndValues) {
        HashMap<String, String> fields = new LinkedHashMap<>();
        for (int index = 0; index < namesAndValues.length; index += 2) {
            fields.put(namesAndValues[index], namesAndValues[index + 1]);
        }
        return fields;
    }

    private static byte[] bytes(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return bytes;
    }

    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private static String hex(byte[] bytes) {
        return UtilAll.bytes2string(bytes).toLowerCase();
    }
}
