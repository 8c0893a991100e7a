package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

// reader reads every partition of the three topics from the start, by itself, until it is told where the ends are.
type reader struct {
	name string
	cl   *kgo.Client
	done chan struct{}

	mu        sync.Mutex
	positions map[place]int64
	ends      map[place]int64
}

func newReader(bootstrap, name string, isCommitted, isFinal bool) (*reader, error) {
	level, kind := kgo.ReadUncommitted(), "uncommitted"
	if isCommitted {
		level, kind = kgo.ReadCommitted(), "committed"
	}
	span := "running"
	if isFinal {
		span = "final"
	}
	partitions := make(map[string]map[int32]kgo.Offset)
	for _, at := range places() {
		if partitions[at.topic] == nil {
			partitions[at.topic] = make(map[int32]kgo.Offset)
		}
		partitions[at.topic][at.partition] = kgo.NewOffset().At(0)
	}
	options := append(commonOptions(bootstrap, name, newLink(name)),
		kgo.ConsumePartitions(partitions),
		kgo.FetchIsolationLevel(level),
		// A position that the server does not know is an event, not something to mend.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.KeepControlRecords(),
		kgo.FetchMaxWait(250*time.Millisecond),
	)
	cl, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	events.print("reader", name, kind, span)
	r := &reader{name: name, cl: cl, done: make(chan struct{}), positions: make(map[place]int64)}
	go r.run()
	return r, nil
}

func (r *reader) run() {
	defer close(r.done)
	defer r.cl.Close()
	for !r.hasArrived() {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		fetches := r.cl.PollFetches(ctx)
		cancel()
		fetches.EachPartition(r.saw)
		time.Sleep(20 * time.Millisecond)
	}
}

func (r *reader) saw(p kgo.FetchTopicPartition) {
	var refused *kerr.Error
	var lost *kgo.ErrDataLoss
	if errors.As(p.Err, &lost) && lost.ResetTo >= r.position(p.Topic, p.Partition) {
		// Nothing that the reader has seen is gone. The client passes over aborted records without noting their epoch;
		// when it asks after a restart where the epoch of the last record that it kept has ended, that is further back.
		events.print("note", r.name, p.Err)
	} else if errors.As(p.Err, &refused) || errors.As(p.Err, &lost) {
		events.print("trouble", r.name, p.Topic, p.Partition, p.Err)
	} else if p.Err != nil {
		// A connection that broke; the client goes on from the same position.
		events.print("note", r.name, p.Err)
	}
	if len(p.Records) == 0 {
		return
	}
	var items strings.Builder
	for _, record := range p.Records {
		if items.Len() > 0 {
			items.WriteByte(' ')
		}
		if record.Attrs.IsControl() {
			fmt.Fprintf(&items, "%d#%s", record.Offset, marker(record.Key))
		} else {
			fmt.Fprintf(&items, "%d=%s", record.Offset, decode(record.Value))
		}
	}
	events.print("saw", r.name, p.Topic, p.Partition, p.HighWatermark, p.LastStableOffset, items.String())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.positions[place{p.Topic, p.Partition}] = p.Records[len(p.Records)-1].Offset + 1
}

// position is the offset after the last record that the reader has seen.
func (r *reader) position(topic string, partition int32) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.positions[place{topic, partition}]
}

func marker(key []byte) string {
	if len(key) >= 4 && binary.BigEndian.Uint16(key[2:]) == 1 {
		return "commit"
	}
	return "abort"
}

// readTo tells where to stop.
func (r *reader) readTo(ends map[place]int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = ends
}

func (r *reader) hasArrived() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ends == nil {
		return false
	}
	for at, end := range r.ends {
		if r.positions[at] < end {
			return false
		}
	}
	return true
}

// join waits until the reader has read to the ends, and reports one that does not get there.
func (r *reader) join(limit time.Duration) {
	select {
	case <-r.done:
	case <-time.After(limit):
		r.mu.Lock()
		events.print("stuck", fmt.Sprintf("%s is at %v of %v", r.name, r.positions, r.ends))
		r.mu.Unlock()
	}
}
