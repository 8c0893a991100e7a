package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

const (
	// transactionTimeout is short, so that transactions of the dead are ended by the server within the run.
	transactionTimeout = 8 * time.Second
	// patience bounds every transaction of a client. Longer than this the server is not down: somebody hangs.
	patience = 30 * time.Second
)

// txnClient is one life of a transactional client: born with an InitProducerId, which ends and fences the life before.
type txnClient struct {
	name    string
	cl      *kgo.Client
	session *kgo.GroupTransactSession
	link    *link
}

func commonOptions(bootstrap, name string, l *link) []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(bootstrap),
		kgo.ClientID(name),
		kgo.Dialer(l.dial),
		kgo.MetadataMinAge(20 * time.Millisecond),
		kgo.RequestRetries(2000),
		kgo.RetryTimeout(patience),
		kgo.RetryBackoffFn(func(int) time.Duration { return time.Duration(20+rand.IntN(80)) * time.Millisecond }),
	}
}

// newTxnClient starts a life. Old lives speak as clients before Kafka 4.0 did, with transactions of version 1.
func newTxnClient(bootstrap, name, transactionalID string, isOld bool, group ...kgo.Opt) (*txnClient, error) {
	l := newLink(name)
	options := append(commonOptions(bootstrap, name, l),
		kgo.TransactionalID(transactionalID),
		kgo.TransactionTimeout(transactionTimeout),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0),
		kgo.UnknownTopicRetries(-1),
	)
	if isOld {
		options = append(options, kgo.MaxVersions(kversion.V3_9_0()))
	}
	c := &txnClient{name: name, link: l}
	events.print("client", name, transactionalID)
	var err error
	if len(group) > 0 {
		c.session, err = kgo.NewGroupTransactSession(append(options, group...)...)
		if err == nil {
			c.cl = c.session.Client()
		}
	} else {
		c.cl, err = kgo.NewClient(options...)
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	id, epoch, err := c.cl.ProducerID(ctx)
	if err != nil {
		c.crash()
		return nil, fmt.Errorf("producer id: %w", err)
	}
	events.print("ready", name, id, epoch)
	return c, nil
}

// crash ends a life as kill -9 does.
func (c *txnClient) crash() {
	events.print("crash", c.name)
	c.link.cut()
	go c.cl.CloseAllowingRebalance()
}

// leave ends a life in an orderly way.
func (c *txnClient) leave() {
	done := make(chan struct{})
	go func() {
		c.cl.CloseAllowingRebalance()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		c.link.cut()
	}
}

func (c *txnClient) begin() (int64, error) {
	transaction := lastTransaction.Add(1)
	c.link.begin(transaction)
	events.print("begin", transaction, c.name, transactionTimeout.Milliseconds())
	if c.session != nil {
		return transaction, c.session.Begin()
	}
	return transaction, c.cl.BeginTransaction()
}

// write is one record to be written; source is the input record that it is a copy of.
type write struct {
	topic     string
	partition int32
	source    *kgo.Record
}

// produce writes all records and waits for their answers; false when any of them failed.
func (c *txnClient) produce(ctx context.Context, transaction int64, writes []write) bool {
	results := make(chan error, len(writes))
	for _, w := range writes {
		value := lastValue.Add(1)
		if w.source == nil {
			events.print("write", transaction, value, w.topic, w.partition, "-", "-")
		} else {
			events.print("write", transaction, value, w.topic, w.partition, w.source.Partition, w.source.Offset)
		}
		record := &kgo.Record{Topic: w.topic, Partition: w.partition, Value: encode(value)}
		c.cl.Produce(ctx, record, func(r *kgo.Record, err error) {
			if err == nil {
				events.print("ack", transaction, value, r.Offset)
			} else {
				events.print("fail", transaction, value, err)
			}
			results <- err
		})
	}
	isGood := true
	for i := range writes {
		select {
		case err := <-results:
			isGood = err == nil && isGood
		case <-ctx.Done():
			// The client never gives up on records that may be in the log; this life does.
			events.print("stalled", c.name, fmt.Sprintf("%d of %d records are without an answer", len(writes)-i, len(writes)))
			return false
		}
	}
	return isGood
}

// end asks for the end of a transaction and reports what became of it; false when this life is over.
func (c *txnClient) end(ctx context.Context, transaction int64, try kgo.TransactionEndTry) bool {
	var hasCommitted bool
	var err error
	if c.session != nil {
		hasCommitted, err = c.session.End(ctx, try)
	} else {
		if try == kgo.TryAbort {
			err = c.cl.AbortBufferedRecords(ctx)
		}
		if err == nil {
			err = c.cl.EndTransaction(ctx, try)
		}
		hasCommitted = bool(try) && err == nil
	}
	sent := c.link.commits()
	isFenced := errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch)
	switch {
	case err == nil && hasCommitted && sent > 0:
		events.print("committed", transaction)
	case err == nil && sent == 0:
		events.print("aborted", transaction)
	case isFenced && sent <= 1:
		// The one and only answer to this commit was a refusal.
		events.print("refused", transaction, err)
	default:
		events.print("unclear", transaction, err)
	}
	return err == nil
}

// encode makes the value of a record: its number, and filling that shows damage.
func encode(value int64) []byte {
	number := fmt.Sprint(value)
	text := number
	for len(text) < 40+int(value%97) {
		text += "/" + number
	}
	return []byte(text)
}

// decode is the number of a value, or a question mark when nobody wrote such bytes.
func decode(bytes []byte) string {
	var value int64
	if _, err := fmt.Sscanf(string(bytes), "%d", &value); err != nil || string(encode(value)) != string(bytes) {
		return "?"
	}
	return fmt.Sprint(value)
}
