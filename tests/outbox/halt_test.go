package outbox

import (
	"bufio"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"gaia/adapters/natsbus"
	"gaia/adapters/postgres"
	"gaia/internal/testenv"
	"gaia/ports/portstest"
)

// A sender that stands still in the middle of a batch, as in a virtual machine that is moved, is replaced by another process. When it goes on
// it believes that it is still its turn, and must not send again what the other one has sent, which the stream remembers no more.
func TestSenderThatStandsStill(t *testing.T) {
	t.Parallel()
	o := orders{Database: testenv.Postgres(t), Window: window, Batch: 100, Patience: 2 * time.Second}
	if err := postgres.MigrateUp(t.Context(), o.Database); err != nil {
		t.Fatal(err)
	}
	server := testenv.StartNATS(t)
	makeStream(t, server.URL())
	o.NATS = server.URL()
	server.Stop()
	calm := o
	calm.Patience = 0 // what is stored beforehand and sent at the end has nothing to do with who stands still
	ids := storeAll(t, calm, 1)
	server.Start()
	for how := range ways {
		mine := o
		mine.How, mine.DieAt, mine.Halt = how, 2, true
		haltAndGoOn(t, mine)
	}
	if err := calm.command(t).Run(); err != nil {
		t.Fatal(err)
	}
	wantAll(t, server.URL(), ids)
}

// haltAndGoOn lets a process stand still until another one has sent more than it had in its hands.
func haltAndGoOn(t *testing.T, o orders) {
	t.Helper()
	c := o.command(t)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Process.Kill(); _ = c.Wait() }()
	lines := bufio.NewReader(out)
	wantLine(t, lines, "halts")
	signal(t, c, syscall.SIGSTOP)
	takeOver(t, o)
	time.Sleep(2 * window) // until the stream has forgotten
	signal(t, c, syscall.SIGCONT)
	if _, err := io.WriteString(in, "\n"); err != nil {
		t.Fatal(err)
	}
	wantLine(t, lines, "went on: 0 send events: ")
}

func signal(t *testing.T, c *exec.Cmd, s syscall.Signal) {
	t.Helper()
	if err := c.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func wantLine(t *testing.T, from *bufio.Reader, start string) {
	t.Helper()
	line, err := from.ReadString('\n')
	if err == io.EOF || !strings.HasPrefix(line, start) {
		t.Fatalf("the sender said %q, %v, want %q", line, err, start)
	}
}

// takeOver sends three batches as soon as the database gives the turn of the one that stands still to somebody else.
func takeOver(t *testing.T, o orders) {
	t.Helper()
	db, err := o.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer db.close()
	bus, err := natsbus.Start(t.Context(), natsbus.Config{URL: o.NATS})
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	began, sent := time.Now(), 0
	portstest.Within(t, portstest.Patience, "another process sends", func() bool {
		n, err := db.outbox.Relay(t.Context(), o.Batch, bus.Send)
		if err != nil {
			t.Logf("not yet: %v", err)
		}
		sent += n
		return sent >= 3*o.Batch
	})
	t.Logf("another process has sent %d after %v", sent, time.Since(began))
}
