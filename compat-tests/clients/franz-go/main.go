// franz-go behind the command line of ../README.md.
package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"klamm/compat/lines"
)

var ctx = context.Background()

func main() {
	verb, bootstrap, args := os.Args[1], os.Args[2], os.Args[3:]
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

func create(bootstrap, topic string, partitions int32) {
	admin := kadm.NewClient(client(bootstrap))
	defer admin.Close()
	response, err := admin.CreateTopic(ctx, partitions, 1, nil, topic)
	lines.Check(err)
	lines.Check(response.Err)
	lines.Print("created")
}

func produce(bootstrap, topic string) {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	producers := map[string]*kgo.Client{}
	lines.Input(func(index int, fields []string) {
		send := lines.ParseSend(fields)
		producer := producers[send.Codec]
		if producer == nil {
			// Idempotent and acks=all by default.
			producer = client(bootstrap, kgo.ProducerBatchCompression(codecs[send.Codec]),
				kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(50*time.Millisecond))
			producers[send.Codec] = producer
		}
		record := &kgo.Record{Topic: topic, Partition: send.Partition, Key: send.Key, Value: send.Value}
		if send.Timestamp != nil {
			record.Timestamp = time.UnixMilli(*send.Timestamp)
		}
		for _, h := range send.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		producer.Produce(ctx, record, func(r *kgo.Record, err error) {
			if err != nil {
				lines.Print("failed", index, err)
				return
			}
			lines.Print("acked", index, r.Offset)
		})
	})
	for _, producer := range producers {
		lines.Check(producer.Flush(ctx))
		producer.Close()
	}
}

func consume(bootstrap string, count int, topics []string) {
	consumer := client(bootstrap, kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer consumer.Close()
	for seen := 0; seen < count; {
		seen += poll(ctx, consumer)
	}
}

// poll prints what one poll brings and returns how many records that was. The client goes on by itself after an error.
func poll(ctx context.Context, consumer *kgo.Client) int {
	fetches := consumer.PollFetches(ctx)
	for _, failure := range fetches.Errors() {
		fmt.Fprintln(os.Stderr, failure.Topic, failure.Partition, failure.Err)
	}
	fetches.EachRecord(printRecord)
	return fetches.NumRecords()
}

func seek(bootstrap string) {
	lines.Input(func(_ int, fields []string) {
		topic, partition := fields[0], int32(lines.Int(fields[1]))
		consumer := client(bootstrap)
		defer consumer.Close()
		// kadm answers a time after the last record with the end of the log and the timestamp -1.
		listed, err := kadm.NewClient(consumer).ListOffsetsAfterMilli(ctx, lines.Int(fields[2]), topic)
		lines.Check(err)
		found, _ := listed.Lookup(topic, partition)
		lines.Check(found.Err)
		if found.Timestamp < 0 {
			lines.Print("found", "-")
			return
		}
		lines.Print("found", found.Offset)
		consumer.AddConsumePartitions(map[string]map[int32]kgo.Offset{
			topic: {partition: kgo.NewOffset().At(found.Offset)},
		})
		printRecord(consumer.PollRecords(ctx, 1).Records()[0])
	})
}

func group(bootstrap, group, topic string) {
	consumer := client(bootstrap, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(10*time.Second),
		kgo.HeartbeatInterval(500*time.Millisecond))
	leaving, leave := context.WithCancel(ctx)
	// A commit takes everything polled so far, so polling and printing must not be halfway through.
	var polling sync.Mutex
	go func() {
		for command := range lines.Commands() {
			polling.Lock()
			if command == "commit" {
				lines.Check(consumer.CommitUncommittedOffsets(ctx))
				lines.Print("committed")
			} else {
				leave()
			}
			polling.Unlock()
		}
	}()
	for leaving.Err() == nil {
		polling.Lock()
		wait, cancel := context.WithTimeout(leaving, 100*time.Millisecond)
		poll(wait, consumer)
		cancel()
		polling.Unlock()
	}
	consumer.Close()
	lines.Print("left")
}

func committed(bootstrap, group string) {
	admin := kadm.NewClient(client(bootstrap))
	defer admin.Close()
	offsets, err := admin.FetchOffsets(ctx, group)
	lines.Check(err)
	offsets.Each(func(o kadm.OffsetResponse) {
		lines.Check(o.Err)
		lines.Print("offset", o.Partition, o.At)
	})
}

func describe(bootstrap, group string) {
	admin := kadm.NewClient(client(bootstrap))
	defer admin.Close()
	groups, err := admin.DescribeGroups(ctx, group)
	lines.Check(err)
	lines.Check(groups[group].Err)
	lines.Print("group", groups[group].State, len(groups[group].Members))
}

func transact(bootstrap, id string, timeout time.Duration) {
	producer := client(bootstrap, kgo.TransactionalID(id), kgo.TransactionTimeout(timeout),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	_, _, err := producer.ProducerID(ctx)
	lines.Answer(err)
	lines.Input(func(_ int, fields []string) {
		switch fields[0] {
		case "begin":
			lines.Answer(producer.BeginTransaction())
		case "send":
			record := &kgo.Record{Topic: fields[1], Partition: int32(lines.Int(fields[2])), Value: lines.Decode(fields[3])}
			lines.Answer(producer.ProduceSync(ctx, record).FirstErr())
		case "commit":
			lines.Answer(producer.EndTransaction(ctx, kgo.TryCommit))
		case "abort":
			lines.Answer(producer.EndTransaction(ctx, kgo.TryAbort))
		}
	})
}

// transform uses the session that franz-go has for this; it sends the offsets when it ends the transaction.
func transform(bootstrap, id, group, source, target string, count int) {
	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(bootstrap), kgo.TransactionalID(id), kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(source), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RequireStableFetchOffsets(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	lines.Check(err)
	var records []*kgo.Record
	for len(records) < count {
		records = append(records, session.PollFetches(ctx).Records()...)
	}
	lines.Check(session.Begin())
	for _, record := range records {
		printRecord(record)
		copied := &kgo.Record{Topic: target, Partition: record.Partition, Value: record.Value}
		lines.Check(session.ProduceSync(ctx, copied).FirstErr())
	}
	lines.Print("done")
	lines.Input(func(_ int, fields []string) {
		isCommit := kgo.TransactionEndTry(fields[0] == "commit")
		hasCommitted, err := session.End(ctx, isCommit)
		lines.Check(err)
		if hasCommitted != bool(isCommit) {
			lines.Check(fmt.Errorf("the session decided otherwise: committed is %v", hasCommitted))
		}
		lines.Print("done")
	})
	session.Close()
}

func read(bootstrap, isolation string, topics []string) {
	level := kgo.ReadUncommitted()
	if isolation == "committed" {
		level = kgo.ReadCommitted()
	}
	consumer := client(bootstrap, kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(level))
	leaving, leave := context.WithCancel(ctx)
	go func() {
		<-lines.Commands()
		leave()
	}()
	for leaving.Err() == nil {
		poll(leaving, consumer)
	}
	consumer.Close()
	lines.Print("left")
}

func client(bootstrap string, options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(bootstrap))...)
	lines.Check(err)
	return client
}

func printRecord(r *kgo.Record) {
	record := lines.Record{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value,
	}
	for _, h := range r.Headers {
		record.Headers = append(record.Headers, lines.Header{Key: h.Key, Value: h.Value})
	}
	lines.PrintRecord(record)
}
