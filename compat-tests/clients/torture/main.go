// Command torture puts a load of transactions on one server and prints everything it asked for, was told and saw. The
// runner (../../src/torture) kills and restarts the server meanwhile and judges the printed history.
//
//	torture BOOTSTRAP SEED WRITERS COPIERS
//
// It runs until a line arrives on its standard input. Then the writers stop, the copiers copy what is left, everybody
// reads to the end, two fresh readers read everything once more, and the program ends with a line "done". Where something
// does not come to its end, a line "stuck" says what.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	inputTopic       = "torture-input"
	inputPartitions  = 4
	outputTopic      = "torture-output"
	outputPartitions = 3
	auditTopic       = "torture-audit"
	auditPartitions  = 2
	copierGroup      = "torture-copiers"

	// settleLimit is how long the work that is left may take once the killing is over.
	settleLimit = 90 * time.Second
)

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: torture BOOTSTRAP SEED WRITERS COPIERS")
	}
	numbers := make([]uint64, 3)
	for i, text := range os.Args[2:] {
		number, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			log.Fatal(err)
		}
		numbers[i] = number
	}
	go events.keepFlushing()
	defer events.flush()
	run(os.Args[1], numbers[0], int(numbers[1]), int(numbers[2]))
}

func run(bootstrap string, seed uint64, writers, copiers int) {
	watch := newWatch(bootstrap)
	watch.createTopics()
	var writersStop, copiersStop atomic.Bool
	writersDone := start(bootstrap, seed, "writer", writers, &writersStop)
	copiersDone := start(bootstrap, seed, "copier", copiers, &copiersStop)
	var readers []*reader
	for name, isCommitted := range map[string]bool{"reader-a": true, "reader-b": true, "reader-u": false} {
		readers = append(readers, mustRead(bootstrap, name, isCommitted, false))
	}
	finish := make(chan struct{})
	go func() {
		bufio.NewScanner(os.Stdin).Scan()
		close(finish)
	}()
	watch.offsetsUntil(finish)

	writersStop.Store(true)
	writersDone.Wait()
	watch.untilCopied()
	copiersStop.Store(true)
	copiersDone.Wait()
	ends, isSettled := watch.finalEnds()
	watch.printOffsets()
	if !isSettled {
		return
	}
	readers = append(readers,
		mustRead(bootstrap, "final-committed", true, true),
		mustRead(bootstrap, "final-uncommitted", false, true))
	for _, r := range readers {
		r.readTo(ends)
	}
	for _, r := range readers {
		r.join(settleLimit)
	}
	events.print("done")
}

func mustRead(bootstrap, name string, isCommitted, isFinal bool) *reader {
	r, err := newReader(bootstrap, name, isCommitted, isFinal)
	if err != nil {
		log.Fatal(err)
	}
	return r
}

// start sets actors going; every second speaks the older protocol, and two of three copiers are static members.
func start(bootstrap string, seed uint64, kind string, count int, stopping *atomic.Bool) *sync.WaitGroup {
	var group sync.WaitGroup
	for i := range count {
		a := &actor{
			bootstrap: bootstrap,
			name:      fmt.Sprintf("%s-%d", kind, i),
			isCopier:  kind == "copier",
			isStatic:  i%3 != 2,
			isOld:     i%2 == 1,
			random:    rand.New(rand.NewPCG(seed, uint64(len(kind)*1000+int(kind[0])*100+i))),
			stopping:  stopping,
		}
		group.Go(a.run)
	}
	return &group
}

func places() []place {
	var all []place
	for topic, count := range topics() {
		for partition := range count {
			all = append(all, place{topic, partition})
		}
	}
	return all
}

func topics() map[string]int32 {
	return map[string]int32{inputTopic: inputPartitions, outputTopic: outputPartitions, auditTopic: auditPartitions}
}

// watch asks the server how far everything is.
type watch struct {
	bootstrap string
	admin     *kadm.Client
	last      map[place]int64
}

func newWatch(bootstrap string) *watch {
	cl, err := kgo.NewClient(commonOptions(bootstrap, "watch", newLink("watch"))...)
	if err != nil {
		log.Fatal(err)
	}
	return &watch{bootstrap: bootstrap, admin: kadm.NewClient(cl), last: make(map[place]int64)}
}

func (w *watch) createTopics() {
	for topic, count := range topics() {
		if _, err := w.admin.CreateTopic(context.Background(), count, 1, nil, topic); err != nil {
			log.Fatal(err)
		}
		events.print("topic", topic, count)
	}
}

// printOffsets prints those committed offsets of the copiers that have changed.
func (w *watch) printOffsets() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fetched, err := w.admin.FetchOffsets(ctx, copierGroup)
	if err != nil {
		return
	}
	fetched.Each(func(o kadm.OffsetResponse) {
		at := place{o.Topic, o.Partition}
		if before, is := w.last[at]; o.Err == nil && o.At >= 0 && (!is || before != o.At) {
			events.print("offset", copierGroup, o.Topic, o.Partition, o.At)
			w.last[at] = o.At
		}
	})
}

func (w *watch) offsetsUntil(finish chan struct{}) {
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-finish:
			return
		case <-ticker.C:
			w.printOffsets()
		}
	}
}

// untilCopied waits until the copiers have committed offsets at the end of every input partition.
func (w *watch) untilCopied() {
	missing := ""
	for deadline := time.Now().Add(settleLimit); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		ends, err := w.admin.ListCommittedOffsets(ctx, inputTopic)
		cancel()
		w.printOffsets()
		if err != nil || ends.Error() != nil {
			continue
		}
		missing = ""
		ends.Each(func(o kadm.ListedOffset) {
			// The last offset holds a marker, which a copier passes without committing behind it.
			if o.Offset > 0 && w.last[place{o.Topic, o.Partition}] < o.Offset && w.hasRecordsBehind(o) {
				missing += fmt.Sprintf(" %d: %d of %d", o.Partition, w.last[place{o.Topic, o.Partition}], o.Offset)
			}
		})
		if missing == "" {
			return
		}
	}
	events.print("stuck", "the input is not copied to its end:"+missing)
}

// hasRecordsBehind tells whether committed records follow the committed offset: markers and aborted records may be all.
func (w *watch) hasRecordsBehind(end kadm.ListedOffset) bool {
	from := w.last[place{end.Topic, end.Partition}]
	cl, err := kgo.NewClient(append(commonOptions(w.bootstrap, "peek", newLink("peek")),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{end.Topic: {end.Partition: kgo.NewOffset().At(from)}}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),
		kgo.FetchMaxWait(100*time.Millisecond),
	)...)
	if err != nil {
		return true
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return true
		}
		isRecord, isAtEnd := false, false
		fetches.EachRecord(func(r *kgo.Record) {
			isRecord = isRecord || !r.Attrs.IsControl()
			isAtEnd = isAtEnd || r.Offset+1 >= end.Offset
		})
		if isRecord || isAtEnd {
			return isRecord
		}
	}
}

// finalEnds waits until no transaction is open anywhere, and prints and returns the ends.
func (w *watch) finalEnds() (map[place]int64, bool) {
	var names []string
	for topic := range topics() {
		names = append(names, topic)
	}
	open := ""
	for deadline := time.Now().Add(settleLimit); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		ends, err := w.admin.ListEndOffsets(ctx, names...)
		stable, stableErr := w.admin.ListCommittedOffsets(ctx, names...)
		cancel()
		if err != nil || stableErr != nil || ends.Error() != nil || stable.Error() != nil {
			continue
		}
		found := make(map[place]int64)
		open = ""
		ends.Each(func(end kadm.ListedOffset) {
			at := place{end.Topic, end.Partition}
			found[at] = end.Offset
			if s, ok := stable.Lookup(end.Topic, end.Partition); !ok || s.Offset != end.Offset {
				open += fmt.Sprintf(" %s-%d: %d of %d", end.Topic, end.Partition, s.Offset, end.Offset)
			}
		})
		if open == "" && len(found) == len(places()) {
			for at, end := range found {
				events.print("end", at.topic, at.partition, end)
			}
			return found, true
		}
	}
	events.print("stuck", "transactions are open that nobody will end:"+open)
	return nil, false
}
