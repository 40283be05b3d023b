package natsbus_test

import (
	"io"
	"net"
	"testing"
	"time"

	"gaia/adapters/natsbus"
)

func TestFenceLetsNothingOutLate(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var f natsbus.Fence
	conn, err := f.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	write := func(text string, want bool) {
		t.Helper()
		if _, err := io.WriteString(conn, text); (err == nil) != want {
			t.Errorf("writing %s: %v", text, err)
		}
	}
	write("a", true)
	f.Until(time.Now().Add(time.Hour))
	write("b", true)
	f.Until(time.Now())
	write("c", false)
	f.Until(time.Time{})
	write("d", true)
	f.Shut()
	write("e", false)
	_ = conn.Close()
	if got, err := io.ReadAll(other); string(got) != "abd" || err != nil {
		t.Errorf("the other side got %q, %v", got, err)
	}
}
