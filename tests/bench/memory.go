package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// idleTime is how long a server is left alone before its memory counts as idle.
const idleTime = 3 * time.Second

// memory is what a process holds, in bytes.
type memory struct {
	resident  int64 // everything, pages of the program's file included
	anonymous int64 // heap and stacks: what no file backs
}

// idleMemory is the memory of a server that is ready and was then left alone.
func (p *process) idleMemory(ctx context.Context) (memory, error) {
	if _, err := p.awaitReady(ctx); err != nil {
		return memory{}, err
	}
	if err := pause(ctx, idleTime); err != nil {
		return memory{}, err
	}
	return p.memory()
}

// memory reads the process table, which only Linux has in this form.
func (p *process) memory() (memory, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return memory{}, err
	}
	defer f.Close()
	var m memory
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		switch name {
		case "VmRSS":
			m.resident, err = kilobytes(value)
		case "RssAnon":
			m.anonymous, err = kilobytes(value)
		}
		if err != nil {
			return memory{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	return m, lines.Err()
}

func kilobytes(s string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(s, "kB")), 10, 64)
	return n << 10, err
}

// loadAverage tells how many processes wanted to run in the last minute, where the system says so.
func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	oneMinute, _, _ := strings.Cut(string(data), " ")
	return oneMinute
}
