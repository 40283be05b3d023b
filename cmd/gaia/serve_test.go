package main

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
)

func TestPortInUseNamesTheSetting(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	c := config{LogLevel: "INFO", DataDir: dir, ServiceHost: "127.0.0.1", ServicePort: taken.Addr().(*net.TCPAddr).Port}
	if err := serve(t.Context(), c, io.Discard); err == nil || !strings.Contains(err.Error(), "SERVICE_PORT") {
		t.Errorf("error %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("the data folder was written to: %v, %v", entries, err)
	}
}

func TestProductionSaysWhatItLacks(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	c := config{Environment: "production"}
	if _, err := wireIdentity(c, "", nil, &system{}, log); err != nil {
		t.Fatal(err)
	}
	if _, err := wireModels(c, log); err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{"API_KEY, SUPABASE_JWT_SECRET and SUPABASE_URL", "OPENAI_API_KEY"} {
		if !strings.Contains(out.String(), setting) {
			t.Errorf("no word about %s in %s", setting, out.String())
		}
	}
	out.Reset()
	if _, err := wireIdentity(c, "key", nil, &system{}, log); err != nil || out.Len() > 0 {
		t.Errorf("with a key: %s, %v", out.String(), err)
	}
}
