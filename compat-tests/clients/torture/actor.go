package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// actor has one transactional id and many lives. A writer fills transactions of its own making; a copier moves records
// of the input to the output and commits how far it has come in the same transaction.
type actor struct {
	bootstrap string
	name      string
	isCopier  bool
	isStatic  bool
	isOld     bool
	random    *rand.Rand
	stopping  *atomic.Bool
	lives     int
}

// run lives life after life until it is told to stop, and leaves no transaction of its own behind.
func (a *actor) run() {
	for !a.stopping.Load() {
		c, err := a.birth()
		if err != nil {
			events.print("note", a.name, err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		a.live(c)
	}
	for range 100 {
		// A new life ends what the last one left open.
		c, err := newTxnClient(a.bootstrap, fmt.Sprintf("%s.end%d", a.name, a.lives), a.name, a.isOld)
		a.lives++
		if err == nil {
			c.leave()
			return
		}
		events.print("note", a.name, err)
	}
	events.print("stuck", "no producer id for "+a.name)
}

func (a *actor) birth() (*txnClient, error) {
	name := fmt.Sprintf("%s.%d", a.name, a.lives)
	a.lives++
	if !a.isCopier {
		return newTxnClient(a.bootstrap, name, a.name, a.isOld)
	}
	group := []kgo.Opt{
		kgo.ConsumerGroup(copierGroup),
		kgo.ConsumeTopics(inputTopic),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(200 * time.Millisecond),
		kgo.SessionTimeout(1500 * time.Millisecond),
		kgo.RebalanceTimeout(5 * time.Second),
		kgo.HeartbeatInterval(300 * time.Millisecond),
	}
	if a.isStatic {
		group = append(group, kgo.InstanceID(a.name))
	}
	return newTxnClient(a.bootstrap, name, a.name, a.isOld, group...)
}

// live runs transactions until the life ends, of its own will or not.
func (a *actor) live(c *txnClient) {
	for !a.stopping.Load() {
		writes := a.plan(c)
		if len(writes) == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		transaction, err := c.begin()
		if err != nil {
			cancel()
			events.print("note", c.name, err)
			c.crash()
			return
		}
		goesOn := c.produce(ctx, transaction, writes)
		if goesOn {
			goesOn = a.finish(ctx, c, transaction)
		} else {
			c.end(ctx, transaction, kgo.TryAbort)
			c.crash()
		}
		cancel()
		if !goesOn {
			return
		}
		if !a.isCopier {
			time.Sleep(time.Duration(a.random.IntN(40)) * time.Millisecond)
		}
	}
	c.leave()
}

// plan chooses the records of the next transaction.
func (a *actor) plan(c *txnClient) []write {
	var writes []write
	if !a.isCopier {
		for range 1 + a.random.IntN(8) {
			if a.random.IntN(3) == 0 {
				writes = append(writes, write{auditTopic, a.random.Int32N(auditPartitions), nil})
			} else {
				writes = append(writes, write{inputTopic, a.random.Int32N(inputPartitions), nil})
			}
		}
		return writes
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	fetches := c.session.PollRecords(ctx, 60)
	fetches.EachRecord(func(r *kgo.Record) {
		writes = append(writes, write{outputTopic, r.Partition % outputPartitions, r})
		if a.random.IntN(10) == 0 {
			writes = append(writes, write{auditTopic, a.random.Int32N(auditPartitions), nil})
		}
	})
	return writes
}

// finish ends a filled transaction in one of the ways that transactions end; false when the life is over with it.
func (a *actor) finish(ctx context.Context, c *txnClient, transaction int64) bool {
	dice := a.random.IntN(100)
	if a.isCopier && dice >= 86 && a.random.IntN(2) == 0 {
		// A member that is lost stops its group for a while: half as often.
		dice = 0
	}
	switch {
	case dice < 72:
		if c.end(ctx, transaction, kgo.TryCommit) {
			return true
		}
	case dice < 86:
		if c.end(ctx, transaction, kgo.TryAbort) {
			return true
		}
	case dice < 92:
		// Asks for the commit and dies before it can be sure of the answer.
		short, cancel := context.WithTimeout(ctx, time.Duration(a.random.IntN(8000))*time.Microsecond)
		defer cancel()
		c.end(short, transaction, kgo.TryCommit)
	case dice < 96:
		// Dies with the transaction open; sometimes nobody follows before the server ends it.
		if !a.isCopier && a.random.IntN(4) == 0 {
			c.crash()
			for waited := time.Duration(0); waited < transactionTimeout && !a.stopping.Load(); waited += time.Second {
				time.Sleep(time.Second)
			}
			return false
		}
	default:
		a.zombie(ctx, c, transaction)
	}
	c.crash()
	return false
}

// zombie lets a new life take over, and then has the old one go on as if nothing had happened.
func (a *actor) zombie(ctx context.Context, old *txnClient, transaction int64) {
	events.print("zombie", old.name)
	name := fmt.Sprintf("%s.%d", a.name, a.lives)
	a.lives++
	heir, err := newTxnClient(a.bootstrap, name, a.name, a.isOld)
	if err != nil {
		events.print("note", a.name, err)
		return
	}
	if a.random.IntN(2) == 0 {
		old.produce(ctx, transaction, []write{{auditTopic, a.random.Int32N(auditPartitions), nil}})
	}
	old.end(ctx, transaction, kgo.TryCommit)
	heir.crash()
}
