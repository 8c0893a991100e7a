package main

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
)

const (
	keyInitProducerID = 22
	keyEndTxn         = 26
	endTxnFlexible    = 3
)

// link is what stands between one client and the server. It can be cut, as when the client's process is killed: nothing
// leaves any more, no goodbye either. It also sees the requests that decide the fate of a transaction before they leave.
type link struct {
	client string

	mu          sync.Mutex
	conns       map[net.Conn]struct{}
	isCut       bool
	transaction int64
	commitsSent int
}

var errCut = errors.New("the client is dead")

func newLink(client string) *link {
	return &link{client: client, conns: make(map[net.Conn]struct{})}
}

func (l *link) dial(ctx context.Context, network, host string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, host)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCut {
		_ = conn.Close()
		return nil, errCut
	}
	l.conns[conn] = struct{}{}
	return &watched{Conn: conn, link: l}, nil
}

func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	for conn := range l.conns {
		_ = conn.Close()
	}
}

// begin names the transaction that the next requests belong to.
func (l *link) begin(transaction int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.transaction, l.commitsSent = transaction, 0
}

// commits is how many times a commit of the current transaction has been asked for.
func (l *link) commits() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.commitsSent
}

type watched struct {
	net.Conn
	link *link
}

func (w *watched) Write(frame []byte) (int, error) {
	if err := w.link.inspect(frame); err != nil {
		return 0, err
	}
	return w.Conn.Write(frame)
}

func (w *watched) Close() error {
	w.link.mu.Lock()
	delete(w.link.conns, w.Conn)
	w.link.mu.Unlock()
	return w.Conn.Close()
}

// inspect reports InitProducerId and EndTxn. The client writes one whole request at a time; were it not so, the history
// would lack events, so that ends the client.
func (l *link) inspect(frame []byte) error {
	if len(frame) < 12 || int(binary.BigEndian.Uint32(frame)) != len(frame)-4 {
		events.print("trouble", l.client, "-", -1, "a write that is not one request")
		return errors.New("not one request")
	}
	switch binary.BigEndian.Uint16(frame[4:]) {
	case keyInitProducerID:
		events.print("init", l.client)
	case keyEndTxn:
		isCommit := endTxnCommits(frame)
		l.mu.Lock()
		defer l.mu.Unlock()
		verdict := "abort"
		if isCommit {
			verdict = "commit"
			l.commitsSent++
		}
		events.print("ending", l.transaction, verdict)
	}
	return nil
}

// endTxnCommits reads the flag that ends the body, before the tagged fields of flexible versions (of which the client
// sends none).
func endTxnCommits(frame []byte) bool {
	version := binary.BigEndian.Uint16(frame[6:])
	last := frame[len(frame)-1]
	if version >= endTxnFlexible {
		last = frame[len(frame)-2]
	}
	return last != 0
}
