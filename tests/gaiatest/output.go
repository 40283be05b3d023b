package gaiatest

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
)

// output collects what a server writes and finds the line that tells where it listens.
type output struct {
	mu      sync.Mutex
	all     bytes.Buffer
	partial []byte
	address chan string // gets the address once
	told    bool
}

func newOutput() *output { return &output{address: make(chan string, 1)} }

// Write takes a piece of output. The server's stdout and stderr both come here.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all.Write(p)
	o.partial = append(o.partial, p...)
	for {
		line, rest, found := bytes.Cut(o.partial, []byte("\n"))
		if !found {
			return len(p), nil
		}
		o.partial = rest
		o.scan(line)
	}
}

func (o *output) scan(line []byte) {
	var entry struct{ Msg, Address string }
	if o.told || json.Unmarshal(line, &entry) != nil || entry.Msg != "listening" {
		return
	}
	o.told = true
	o.address <- entry.Address
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

// alarm returns the first sign of a fault that must never be there, whatever the answers were.
func (o *output) alarm() string {
	for line := range strings.Lines(o.String()) {
		for _, sign := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: ", "panic serving", `"msg":"panic`, "superfluous response.WriteHeader"} {
			if strings.Contains(line, sign) {
				return strings.TrimSpace(line)
			}
		}
	}
	return ""
}
