// sarama behind the command line of ../README.md.
package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"klamm/compat/lines"
)

func main() {
	verb, bootstrap, args := os.Args[1], []string{os.Args[2]}, os.Args[3:]
	switch verb {
	case "create":
		create(bootstrap, args[0], int32(lines.Int(args[1])))
	case "produce":
		produce(bootstrap, args[0])
	case "consume":
		consume(bootstrap, int(lines.Int(args[0])), args[1:])
	case "seek":
		seek(bootstrap)
	case "group":
		group(bootstrap, args[0], args[1])
	case "committed":
		committed(bootstrap, args[0])
	case "describe":
		describe(bootstrap, args[0])
	case "transact":
		transact(bootstrap, args[0], time.Duration(lines.Int(args[1]))*time.Millisecond)
	case "transform":
		transform(bootstrap, args[0], args[1], args[2], args[3], int(lines.Int(args[4])))
	case "read":
		read(bootstrap, args[0], args[1:])
	}
}

func create(bootstrap []string, topic string, partitions int32) {
	admin := clusterAdmin(bootstrap)
	defer admin.Close()
	detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}
	lines.Check(admin.CreateTopic(topic, detail, false))
	lines.Print("created")
}

func produce(bootstrap []string, topic string) {
	producers := map[string]sarama.AsyncProducer{}
	// A producer that is being closed refuses to retry, so every message gets its answer before the program ends.
	var unanswered sync.WaitGroup
	lines.Input(func(index int, fields []string) {
		send := lines.ParseSend(fields)
		producer := producers[send.Codec]
		if producer == nil {
			producer = newProducer(bootstrap, send.Codec)
			producers[send.Codec] = producer
			go printAcks(producer, &unanswered)
		}
		unanswered.Add(1)
		producer.Input() <- message(topic, index, send)
	})
	unanswered.Wait()
}

// newProducer makes an idempotent producer; it needs one request in flight, and retries enough to outlive a broker restart.
func newProducer(bootstrap []string, codec string) sarama.AsyncProducer {
	codecs := map[string]sarama.CompressionCodec{
		"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
		"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
	}
	config := newConfig()
	config.Producer.Compression = codecs[codec]
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Net.MaxOpenRequests = 1
	config.Producer.Return.Successes = true
	config.Producer.Flush.Frequency = 50 * time.Millisecond
	config.Producer.Retry.Max = 240
	config.Producer.Retry.Backoff = 250 * time.Millisecond
	config.Metadata.Retry.Max = 240
	producer, err := sarama.NewAsyncProducer(bootstrap, config)
	lines.Check(err)
	return producer
}

func message(topic string, index int, send lines.Send) *sarama.ProducerMessage {
	message := &sarama.ProducerMessage{Topic: topic, Partition: send.Partition, Metadata: index}
	if send.Key != nil {
		message.Key = sarama.ByteEncoder(send.Key)
	}
	if send.Value != nil {
		message.Value = sarama.ByteEncoder(send.Value)
	}
	if send.Timestamp != nil {
		message.Timestamp = time.UnixMilli(*send.Timestamp)
	}
	for _, h := range send.Headers {
		message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(h.Key), Value: h.Value})
	}
	return message
}

func printAcks(producer sarama.AsyncProducer, unanswered *sync.WaitGroup) {
	for {
		select {
		case message := <-producer.Successes():
			lines.Print("acked", message.Metadata, message.Offset)
		case failure := <-producer.Errors():
			lines.Print("failed", failure.Msg.Metadata, failure.Err)
		}
		unanswered.Done()
	}
}

func consume(bootstrap []string, count int, topics []string) {
	messages := readAll(bootstrap, newConfig(), topics)
	for range count {
		printMessage(<-messages)
	}
}

// readAll reads all partitions of some topics from the start.
func readAll(bootstrap []string, config *sarama.Config, topics []string) <-chan *sarama.ConsumerMessage {
	consumer, err := sarama.NewConsumer(bootstrap, config)
	lines.Check(err)
	messages := make(chan *sarama.ConsumerMessage)
	for _, topic := range topics {
		partitions, err := consumer.Partitions(topic)
		lines.Check(err)
		for _, partition := range partitions {
			reader, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
			lines.Check(err)
			go func() {
				for message := range reader.Messages() {
					messages <- message
				}
			}()
		}
	}
	return messages
}

func seek(bootstrap []string) {
	client, err := sarama.NewClient(bootstrap, newConfig())
	lines.Check(err)
	consumer, err := sarama.NewConsumerFromClient(client)
	lines.Check(err)
	lines.Input(func(_ int, fields []string) {
		topic, partition := fields[0], int32(lines.Int(fields[1]))
		offset, err := client.GetOffset(topic, partition, lines.Int(fields[2]))
		lines.Check(err)
		if offset < 0 {
			lines.Print("found", "-")
			return
		}
		lines.Print("found", offset)
		reader, err := consumer.ConsumePartition(topic, partition, offset)
		lines.Check(err)
		printMessage(<-reader.Messages())
		lines.Check(reader.Close())
	})
}

// member is the handler of one group member; Setup and Cleanup frame each generation.
type member struct {
	printing sync.Mutex
	session  sarama.ConsumerGroupSession
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.printing.Lock()
	defer m.printing.Unlock()
	m.session = session
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		m.printing.Lock()
		printMessage(message)
		session.MarkMessage(message, "")
		m.printing.Unlock()
	}
	return nil
}

func group(bootstrap []string, group, topic string) {
	config := newConfig()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Session.Timeout = 10 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	consumer, err := sarama.NewConsumerGroup(bootstrap, group, config)
	lines.Check(err)
	leaving, leave := context.WithCancel(context.Background())
	member := &member{}
	go func() {
		for command := range lines.Commands() {
			if command == "leave" {
				leave()
				return
			}
			member.printing.Lock()
			member.session.Commit()
			lines.Print("committed")
			member.printing.Unlock()
		}
	}()
	for leaving.Err() == nil {
		// Returns at every rebalance, and with an error while the broker is away; both mean: join again.
		if err := consumer.Consume(leaving, []string{topic}, member); errors.Is(err, sarama.ErrClosedConsumerGroup) {
			break
		}
	}
	lines.Check(consumer.Close())
	lines.Print("left")
}

func committed(bootstrap []string, group string) {
	admin := clusterAdmin(bootstrap)
	defer admin.Close()
	response, err := admin.ListConsumerGroupOffsets(group, nil)
	lines.Check(err)
	for _, partitions := range response.Blocks {
		for partition, block := range partitions {
			lines.Print("offset", partition, block.Offset)
		}
	}
}

func describe(bootstrap []string, group string) {
	admin := clusterAdmin(bootstrap)
	defer admin.Close()
	groups, err := admin.DescribeConsumerGroups([]string{group})
	lines.Check(err)
	lines.Print("group", groups[0].State, len(groups[0].Members))
}

func transact(bootstrap []string, id string, timeout time.Duration) {
	producer := transactionalProducer(bootstrap, id, timeout)
	lines.Print("done")
	lines.Input(func(_ int, fields []string) {
		switch fields[0] {
		case "begin":
			lines.Answer(producer.BeginTxn())
		case "send":
			lines.Answer(deliver(producer, fields[1], int32(lines.Int(fields[2])), lines.Decode(fields[3])))
		case "commit":
			lines.Answer(producer.CommitTxn())
		case "abort":
			lines.Answer(producer.AbortTxn())
		}
	})
}

// transactionalProducer asks for its producer id at once, which ends what the last one with the id has left.
func transactionalProducer(bootstrap []string, id string, timeout time.Duration) sarama.SyncProducer {
	config := newConfig()
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Transaction.ID = id
	config.Producer.Transaction.Timeout = timeout
	config.Net.MaxOpenRequests = 1
	producer, err := sarama.NewSyncProducer(bootstrap, config)
	lines.Check(err)
	return producer
}

// deliver sends one record and waits for its answer.
func deliver(producer sarama.SyncProducer, topic string, partition int32, value []byte) error {
	_, _, err := producer.SendMessage(
		&sarama.ProducerMessage{Topic: topic, Partition: partition, Value: sarama.ByteEncoder(value)})
	return err
}

// copier is the handler of one group member that hands over what it reads.
type copier struct {
	messages chan *sarama.ConsumerMessage
}

func (c *copier) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (c *copier) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (c *copier) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, isOpen := <-claim.Messages():
			if !isOpen {
				return nil
			}
			c.messages <- message
		case <-session.Context().Done():
			return nil
		}
	}
}

func transform(bootstrap []string, id, group, source, target string, count int) {
	producer := transactionalProducer(bootstrap, id, time.Minute)
	config := newConfig()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	consumer, err := sarama.NewConsumerGroup(bootstrap, group, config)
	lines.Check(err)
	copier := &copier{messages: make(chan *sarama.ConsumerMessage, count)}
	go func() {
		for !errors.Is(consumer.Consume(context.Background(), []string{source}, copier), sarama.ErrClosedConsumerGroup) {
		}
	}()
	var messages []*sarama.ConsumerMessage
	for len(messages) < count {
		messages = append(messages, <-copier.messages)
	}
	lines.Check(producer.BeginTxn())
	for _, message := range messages {
		printMessage(message)
		lines.Check(deliver(producer, target, message.Partition, message.Value))
		lines.Check(producer.AddMessageToTxn(message, group, nil))
	}
	lines.Print("done")
	lines.Input(func(_ int, fields []string) {
		if fields[0] == "commit" {
			lines.Check(producer.CommitTxn())
		} else {
			lines.Check(producer.AbortTxn())
		}
		lines.Print("done")
	})
	lines.Check(consumer.Close())
	lines.Check(producer.Close())
}

func read(bootstrap []string, isolation string, topics []string) {
	config := newConfig()
	if isolation == "committed" {
		config.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	messages := readAll(bootstrap, config, topics)
	commands := lines.Commands()
	for {
		select {
		case message := <-messages:
			printMessage(message)
		case <-commands:
			lines.Print("left")
			return
		}
	}
}

func clusterAdmin(bootstrap []string) sarama.ClusterAdmin {
	admin, err := sarama.NewClusterAdmin(bootstrap, newConfig())
	lines.Check(err)
	return admin
}

func newConfig() *sarama.Config {
	config := sarama.NewConfig()
	// The default is 2.8.0: let sarama use all that it knows.
	config.Version = sarama.MaxVersion
	return config
}

func printMessage(m *sarama.ConsumerMessage) {
	record := lines.Record{
		Topic: m.Topic, Partition: m.Partition, Offset: m.Offset, Timestamp: m.Timestamp.UnixMilli(), Key: m.Key, Value: m.Value,
	}
	for _, h := range m.Headers {
		record.Headers = append(record.Headers, lines.Header{Key: string(h.Key), Value: h.Value})
	}
	lines.PrintRecord(record)
}
