// segmentio kafka-go behind the command line of ../README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/segmentio/kafka-go"

	"klamm/compat/lines"
)

var ctx = context.Background()

// The Reader retries by itself; its complaints help to understand a test that waits in vain.
var complaints = kafka.LoggerFunc(func(format string, values ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
})

func main() {
	verb, bootstrap, args := os.Args[1], os.Args[2], os.Args[3:]
	switch verb {
	case "create":
		create(bootstrap, args[0], int(lines.Int(args[1])))
	case "produce":
		produce(bootstrap, args[0])
	case "consume":
		consume(bootstrap, int(lines.Int(args[0])), args[1:])
	case "seek":
		seek(bootstrap)
	case "group":
		group(bootstrap, args[0], args[1])
	case "committed":
		committed(bootstrap, args[0], args[1])
	case "describe":
		describe(bootstrap, args[0])
	case "read":
		read(bootstrap, args[0], args[1:])
	}
}

func create(bootstrap, topic string, partitions int) {
	response, err := client(bootstrap).CreateTopics(ctx, &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1}},
	})
	lines.Check(err)
	lines.Check(response.Errors[topic])
	lines.Print("created")
}

// sent is what a message carries through the Writer, which has no field of its own for a wanted partition.
type sent struct {
	index     int
	partition int
}

func produce(bootstrap, topic string) {
	codecs := map[string]kafka.Compression{
		"gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd,
	}
	writers := map[string]*kafka.Writer{}
	lines.Input(func(index int, fields []string) {
		send := lines.ParseSend(fields)
		writer := writers[send.Codec]
		if writer == nil {
			writer = &kafka.Writer{
				Addr: kafka.TCP(bootstrap), Topic: topic, RequiredAcks: kafka.RequireAll, Compression: codecs[send.Codec],
				BatchTimeout: 50 * time.Millisecond, MaxAttempts: 120, Async: true, Completion: printAcks,
				Balancer: kafka.BalancerFunc(func(m kafka.Message, _ ...int) int { return m.WriterData.(sent).partition }),
			}
			writers[send.Codec] = writer
		}
		message := kafka.Message{Key: send.Key, Value: send.Value, WriterData: sent{index, int(send.Partition)}}
		if send.Timestamp != nil {
			message.Time = time.UnixMilli(*send.Timestamp)
		}
		for _, h := range send.Headers {
			message.Headers = append(message.Headers, kafka.Header{Key: h.Key, Value: h.Value})
		}
		lines.Check(writer.WriteMessages(ctx, message))
	})
	for _, writer := range writers {
		lines.Check(writer.Close())
	}
}

func printAcks(messages []kafka.Message, err error) {
	for _, m := range messages {
		if err != nil {
			lines.Print("failed", m.WriterData.(sent).index, err)
		} else {
			lines.Print("acked", m.WriterData.(sent).index, m.Offset)
		}
	}
}

// consume reads each partition up to the end it has now: a Reader without a group reads one.
func consume(bootstrap string, count int, topics []string) {
	metadata, err := client(bootstrap).Metadata(ctx, &kafka.MetadataRequest{Topics: topics})
	lines.Check(err)
	messages := make(chan kafka.Message)
	for _, topic := range metadata.Topics {
		lines.Check(topic.Error)
		for _, partition := range topic.Partitions {
			go readPartition(bootstrap, topic.Name, partition.ID, messages)
		}
	}
	for range count {
		printMessage(<-messages)
	}
}

func readPartition(bootstrap, topic string, partition int, messages chan<- kafka.Message) {
	end := endOffset(bootstrap, topic, partition)
	reader := partitionReader(bootstrap, topic, partition)
	for next := int64(0); next < end; {
		message, err := reader.ReadMessage(ctx)
		lines.Check(err)
		messages <- message
		next = message.Offset + 1
	}
	lines.Check(reader.Close())
}

func endOffset(bootstrap, topic string, partition int) int64 {
	response, err := client(bootstrap).ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{topic: {kafka.LastOffsetOf(partition)}},
	})
	lines.Check(err)
	lines.Check(response.Topics[topic][0].Error)
	return response.Topics[topic][0].LastOffset
}

func seek(bootstrap string) {
	lines.Input(func(_ int, fields []string) {
		reader := partitionReader(bootstrap, fields[0], int(lines.Int(fields[1])))
		defer reader.Close()
		lines.Check(reader.SetOffsetAt(ctx, time.UnixMilli(lines.Int(fields[2]))))
		if reader.Offset() < 0 {
			lines.Print("found", "-")
			return
		}
		lines.Print("found", reader.Offset())
		message, err := reader.ReadMessage(ctx)
		lines.Check(err)
		printMessage(message)
	})
}

func group(bootstrap, group, topic string) {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{bootstrap}, GroupID: group, Topic: topic, StartOffset: kafka.FirstOffset,
		HeartbeatInterval: 500 * time.Millisecond, SessionTimeout: 10 * time.Second, JoinGroupBackoff: time.Second,
		MaxWait: 500 * time.Millisecond, ErrorLogger: complaints,
	})
	commands := lines.Commands()
	messages := make(chan kafka.Message)
	go func() {
		for {
			message, err := reader.FetchMessage(ctx)
			switch {
			case errors.Is(err, io.EOF):
				return // The reader is closed.
			case err != nil:
				complaints("fetching: %v", err) // The reader goes on by itself.
			default:
				messages <- message
			}
		}
	}()
	var uncommitted []kafka.Message
	for {
		select {
		case message := <-messages:
			printMessage(message)
			uncommitted = append(uncommitted, message)
		case command := <-commands:
			if command == "leave" {
				lines.Check(reader.Close())
				lines.Print("left")
				return
			}
			lines.Check(reader.CommitMessages(ctx, uncommitted...))
			uncommitted = nil
			lines.Print("committed")
		}
	}
}

func committed(bootstrap, group, topic string) {
	metadata, err := client(bootstrap).Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	lines.Check(err)
	var partitions []int
	for _, partition := range metadata.Topics[0].Partitions {
		partitions = append(partitions, partition.ID)
	}
	response, err := client(bootstrap).OffsetFetch(ctx, &kafka.OffsetFetchRequest{
		GroupID: group, Topics: map[string][]int{topic: partitions},
	})
	lines.Check(err)
	lines.Check(response.Error)
	for _, partition := range response.Topics[topic] {
		lines.Check(partition.Error)
		lines.Print("offset", partition.Partition, partition.CommittedOffset)
	}
}

func describe(bootstrap, group string) {
	response, err := client(bootstrap).DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	lines.Check(err)
	lines.Check(response.Groups[0].Error)
	lines.Print("group", response.Groups[0].GroupState, len(response.Groups[0].Members))
}

// read follows each partition of some topics from its start.
func read(bootstrap, isolation string, topics []string) {
	metadata, err := client(bootstrap).Metadata(ctx, &kafka.MetadataRequest{Topics: topics})
	lines.Check(err)
	messages := make(chan kafka.Message)
	for _, topic := range metadata.Topics {
		lines.Check(topic.Error)
		for _, partition := range topic.Partitions {
			config := partitionConfig(bootstrap, topic.Name, partition.ID)
			if isolation == "committed" {
				config.IsolationLevel = kafka.ReadCommitted
			}
			go func() {
				reader := kafka.NewReader(config)
				for {
					message, err := reader.ReadMessage(ctx)
					lines.Check(err)
					messages <- message
				}
			}()
		}
	}
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

func client(bootstrap string) *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(bootstrap), Timeout: 30 * time.Second}
}

func partitionReader(bootstrap, topic string, partition int) *kafka.Reader {
	return kafka.NewReader(partitionConfig(bootstrap, topic, partition))
}

func partitionConfig(bootstrap, topic string, partition int) kafka.ReaderConfig {
	return kafka.ReaderConfig{
		Brokers: []string{bootstrap}, Topic: topic, Partition: partition, MaxWait: 500 * time.Millisecond, ErrorLogger: complaints,
	}
}

func printMessage(m kafka.Message) {
	record := lines.Record{
		Topic: m.Topic, Partition: int32(m.Partition), Offset: m.Offset, Timestamp: m.Time.UnixMilli(), Key: m.Key, Value: m.Value,
	}
	for _, h := range m.Headers {
		record.Headers = append(record.Headers, lines.Header{Key: h.Key, Value: h.Value})
	}
	lines.PrintRecord(record)
}
