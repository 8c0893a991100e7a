// Package lines is the line format between the runner and the Go clients: fields separated by tabs, base64 for bytes,
// "-" for null (see ../../README.md).
package lines

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Header is one record header; repeated keys keep their order.
type Header struct {
	Key   string
	Value []byte
}

// Send is one line of the producer's input.
type Send struct {
	Codec     string
	Partition int32
	// Timestamp is in milliseconds; nil leaves it to the client.
	Timestamp *int64
	Key       []byte
	Value     []byte
	Headers   []Header
}

// Record is what a consumer saw.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Timestamp int64
	Key       []byte
	Value     []byte
	Headers   []Header
}

var output sync.Mutex

// Print writes one line at once; it may be called from any goroutine.
func Print(fields ...any) {
	text := make([]string, len(fields))
	for i, field := range fields {
		text[i] = fmt.Sprint(field)
	}
	output.Lock()
	defer output.Unlock()
	fmt.Fprintln(os.Stdout, strings.Join(text, "\t"))
}

// PrintRecord writes a record line.
func PrintRecord(r Record) {
	headers := make([]string, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = encode([]byte(h.Key)) + ":" + encode(h.Value)
	}
	Print("record", r.Topic, r.Partition, r.Offset, r.Timestamp, encode(r.Key), encode(r.Value), strings.Join(headers, ","))
}

// Input calls each for every line of standard input, split into its fields.
func Input(each func(index int, fields []string)) {
	scanner := bufio.NewScanner(os.Stdin)
	scanner.Buffer(nil, 16<<20)
	for index := 0; scanner.Scan(); index++ {
		each(index, strings.Split(scanner.Text(), "\t"))
	}
	Check(scanner.Err())
}

// Commands delivers the lines of standard input; its end reads as "leave".
func Commands() <-chan string {
	commands := make(chan string)
	go func() {
		Input(func(_ int, fields []string) { commands <- fields[0] })
		commands <- "leave"
	}()
	return commands
}

// ParseSend reads one line of the producer's input.
func ParseSend(fields []string) Send {
	send := Send{
		Codec:     fields[0],
		Partition: int32(Int(fields[1])),
		Key:       Decode(fields[3]),
		Value:     Decode(fields[4]),
	}
	if fields[2] != "-" {
		timestamp := Int(fields[2])
		send.Timestamp = &timestamp
	}
	if fields[5] != "" {
		for _, pair := range strings.Split(fields[5], ",") {
			key, value, _ := strings.Cut(pair, ":")
			send.Headers = append(send.Headers, Header{string(Decode(key)), Decode(value)})
		}
	}
	return send
}

// Answer tells how an operation went: done, or refused with everything that the client says, on one line.
func Answer(err error) {
	if err == nil {
		Print("done")
		return
	}
	Print("refused", strings.Join(strings.Fields(fmt.Sprintf("%T %v", err, err)), " "))
}

// Int reads a decimal number.
func Int(text string) int64 {
	number, err := strconv.ParseInt(text, 10, 64)
	Check(err)
	return number
}

// Check ends the program when there is an error.
func Check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Decode reads a base64 field.
func Decode(field string) []byte {
	if field == "-" {
		return nil
	}
	bytes, err := base64.StdEncoding.DecodeString(field)
	Check(err)
	return bytes
}

func encode(bytes []byte) string {
	if bytes == nil {
		return "-"
	}
	return base64.StdEncoding.EncodeToString(bytes)
}
