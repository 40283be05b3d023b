package chaos

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var updateFaults = flag.Bool("update-faults", false, "write the tables of faults in docs/operations.md anew")

const faultPage = "../../docs/operations.md"

// clientsSee says in the words of the table what became of requests.
func (o outcome) clientsSee() string {
	all, bad := 0, []string{}
	for _, n := range o.seen.counts {
		all += n
	}
	for _, v := range []verdict{refused, broken, paused, cut, torn, gone, wrong} {
		if n := o.seen.counts[v]; n > 0 {
			bad = append(bad, string(v)+" ("+percent(n, all)+")")
		}
	}
	if len(bad) == 0 {
		return "nothing"
	}
	return strings.Join(bad, ", ")
}

func percent(n, of int) string {
	if p := (100*n + of/2) / of; p > 0 {
		return strconv.Itoa(p) + " %"
	}
	return "below 1 %"
}

// rounded is a time in the table.
func rounded(d time.Duration) string {
	switch {
	case d < 50*time.Millisecond:
		return "at once"
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}

// publish writes a table into the documentation, or looks whether the one that is there is about the same faults. Its figures are those
// of one run: what they may be at the most is held by the load itself.
func publish(t *testing.T, name string, outcomes []outcome) {
	t.Helper()
	if t.Failed() || *chaosOnly != "" {
		return
	}
	var b strings.Builder
	b.WriteString("| fault | what clients see besides right answers | slowest answer | all well again after |\n|---|---|---|---|\n")
	for _, o := range outcomes {
		b.WriteString("| " + strings.Join([]string{o.name, o.clientsSee(), rounded(o.seen.worst), rounded(o.healed)}, " | ") + " |\n")
	}
	path := filepath.FromSlash(faultPage)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- faults, "+name+": written by `go test ./tests/chaos -update-faults` -->\n", "<!-- end -->\n"
	before, rest, begins := strings.Cut(string(data), begin)
	got, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table %q", path, name)
	}
	if *updateFaults {
		if err := os.WriteFile(path, []byte(before+begin+b.String()+end+after), 0o644); err != nil { //nolint:gosec // it is for all to read
			t.Fatal(err)
		}
		return
	}
	if got, want := firstColumn(got), firstColumn(b.String()); got != want {
		t.Errorf("%s has lines for\n%s\nthe faults are\n%s", path, got, want)
	}
}

func firstColumn(table string) string {
	var lines []string
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) > 1 {
			lines = append(lines, strings.TrimSpace(cells[1]))
		}
	}
	return strings.Join(lines, "\n")
}
