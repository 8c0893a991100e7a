package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// history prints one line per event: the time in milliseconds, the kind, and fields, separated by tabs. Whatever is
// about to be asked of the server is printed before the request leaves, whatever the server said is printed after it
// arrived; so the order of the lines never shows an answer before its question.
type history struct {
	mu  sync.Mutex
	out *bufio.Writer
}

var events = &history{out: bufio.NewWriterSize(os.Stdout, 1<<16)}

func (h *history) print(kind string, fields ...any) {
	var line strings.Builder
	h.mu.Lock()
	defer h.mu.Unlock()
	fmt.Fprintf(&line, "%d\t%s", time.Now().UnixMilli(), kind)
	for _, field := range fields {
		text := strings.NewReplacer("\t", " ", "\n", " ").Replace(fmt.Sprint(field))
		line.WriteByte('\t')
		line.WriteString(text)
	}
	line.WriteByte('\n')
	// A reader that is gone ends the program with SIGPIPE.
	_, _ = h.out.WriteString(line.String())
}

func (h *history) flush() {
	h.mu.Lock()
	defer h.mu.Unlock()
	_ = h.out.Flush()
}

func (h *history) keepFlushing() {
	for range time.Tick(50 * time.Millisecond) {
		h.flush()
	}
}

var (
	lastTransaction atomic.Int64
	lastValue       atomic.Int64
)
