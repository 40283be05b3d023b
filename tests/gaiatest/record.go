package gaiatest

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"github.com/getkin/kin-openapi/openapi3"
)

// streamStatus stands for a 200 that is an event stream.
const streamStatus = -http.StatusOK

// record counts which answers of the contract the tests saw.
type record struct {
	mu         sync.Mutex
	operations map[string]map[int]int
	others     map[string]map[int]int
}

var seen = &record{operations: map[string]map[int]int{}, others: map[string]map[int]int{}}

func (r *record) operation(id string, status int) { r.count(r.operations, id, status) }
func (r *record) protocol(method string, status int) {
	r.count(r.others, method+" outside the contract", status)
}

func (r *record) count(in map[string]map[int]int, key string, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if in[key] == nil {
		in[key] = map[int]int{}
	}
	in[key][status]++
}

// Report is something that a run of tests has found out.
type Report func(io.Writer)

// Answers is the table of which answers of the contract the tests of a package saw.
func Answers(w io.Writer) { seen.write(w) }

// Main runs the tests of a package, prints the reports and ends the process.
// With GAIA_TEST_REPORT set to a file, all of that is appended there too, since `go test` shows no output of packages that pass.
func Main(m *testing.M, reports ...Report) {
	code := m.Run()
	removeProgram()
	var text strings.Builder
	for _, report := range reports {
		report(&text)
	}
	fmt.Print(text.String())
	if path := os.Getenv("GAIA_TEST_REPORT"); path != "" {
		if err := appendTo(path, text.String()); err != nil {
			fmt.Fprintln(os.Stderr, "gaiatest: GAIA_TEST_REPORT:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// write prints the table.
func (r *record) write(w io.Writer) {
	spec, err := theContract()
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\nOPERATION\tREQUEST\tSTATUS × ANSWERS\tLISTED, NOT SEEN")
	missing := 0
	for _, op := range operationsOf(spec.doc) {
		counts := r.operations[op.id]
		unseen := ""
		if op.finished {
			unseen = strings.Join(notSeen(op, counts), " ")
			missing += len(notSeen(op, counts))
		}
		if len(counts) > 0 || op.finished {
			fmt.Fprintf(t, "%s\t%s %s\t%s\t%s\n", op.id, op.method, op.path, countsText(counts), unseen)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(r.others)) {
		fmt.Fprintf(t, "-\t%s\t%s\t\n", key, countsText(r.others[key]))
	}
	_ = t.Flush() // into memory
	fmt.Fprintf(w, "%d statuses that the contract lists for finished operations were not seen.\n", missing)
}

// operation is one operation of the contract. It is finished when the contract lists no 501 for it.
type operation struct {
	id, method, path string
	statuses         []int
	streams          bool
	finished         bool
	definition       *openapi3.Operation
	shared           openapi3.Parameters // of all operations on the path
}

func operationsOf(doc *openapi3.T) []operation {
	var list []operation
	for _, path := range doc.Paths.InMatchingOrder() {
		for method, op := range doc.Paths.Value(path).Operations() {
			o := operation{id: op.OperationID, method: method, path: path, finished: op.Responses.Status(http.StatusNotImplemented) == nil}
			o.definition, o.shared = op, doc.Paths.Value(path).Parameters
			for code := range op.Responses.Map() {
				status, err := strconv.Atoi(code)
				if err == nil {
					o.statuses = append(o.statuses, status)
				}
			}
			slices.Sort(o.statuses)
			if ok := op.Responses.Status(http.StatusOK); ok != nil {
				o.streams = ok.Value.Content.Get("text/event-stream") != nil
			}
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return list
}

func notSeen(op operation, counts map[int]int) []string {
	var missing []string
	for _, status := range op.statuses {
		if counts[status] == 0 && (status != http.StatusOK || !op.streams || counts[streamStatus] == 0) {
			missing = append(missing, strconv.Itoa(status))
		}
	}
	return missing
}

func countsText(counts map[int]int) string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		name := strconv.Itoa(status)
		if status == streamStatus {
			name = "200 (events)"
		}
		parts = append(parts, fmt.Sprintf("%s×%d", name, counts[status]))
	}
	return strings.Join(parts, "  ")
}
