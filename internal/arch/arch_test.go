package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "gaia"

// A rule says what the packages below one path may import besides the standard
// library and themselves. An entry covers the paths below it too.
type rule struct {
	own    []string // of this module
	others []string // of other modules; "*" is any
	tests  []string // of this module, for its tests alone
	noHTTP bool     // the standard library but for net/http
	clock  bool     // may read the clock
	env    bool     // may read the environment
}

// rules is the whole architecture: a package without a row fails the test, and
// so does a row without a package behind it.
var rules = map[string]rule{
	"domain":          {noHTTP: true},
	"ports":           {own: []string{"domain"}, noHTTP: true},
	"ports/portstest": {own: []string{"domain", "ports"}, clock: true},
	"app": {
		own: []string{"domain", "ports"}, others: []string{"golang.org/x/sync"}, noHTTP: true,
		tests: []string{"adapters/gcra", "adapters/filesystem"}, // arithmetic in memory, and files that need no server
	},
	"api":        {},
	"api/client": {others: []string{"github.com/oapi-codegen/runtime", "github.com/oapi-codegen/nullable"}},
	"db":         {},

	// Inbound: they see the use cases and never a port, so that no handler can
	// go round an authorisation.
	"adapters/httpapi": {
		own: []string{"domain", "app", "api"}, clock: true,
		others: []string{
			"github.com/go-chi/chi", "github.com/getkin/kin-openapi", "github.com/oapi-codegen/runtime",
			"github.com/oapi-codegen/nullable", "github.com/swaggest/swgui", "github.com/vearutop/statigz", "github.com/klauspost/compress", "github.com/google/uuid",
		},
		tests: []string{"adapters/gcra"},
	},
	"adapters/mcpserver": {
		own: []string{"domain", "app"}, others: []string{"github.com/modelcontextprotocol/go-sdk"}, clock: true,
	},
	// It hands on what another process carries out: it knows callers, and no use case.
	"adapters/forward": {own: []string{"domain"}, others: []string{"golang.org/x/sys"}, clock: true},

	// Outbound: each knows its own technology and no other adapter.
	"adapters/memory": {
		own: []string{"domain", "ports", "adapters/internal/blobsource", "adapters/internal/assetsearch"}, clock: true,
	},
	"adapters/s3": {
		own: []string{"domain", "ports", "adapters/internal/blobsource"}, others: []string{"github.com/minio/minio-go"}, clock: true,
	},
	"adapters/folder":     {own: []string{"domain", "ports", "adapters/internal/blobsource"}, clock: true},
	"adapters/echo":       outbound(),
	"adapters/procedural": outbound(),
	"adapters/mediafile":  outbound("golang.org/x/image"),
	"adapters/agentfiles": outbound("go.yaml.in/yaml/v3"),
	"adapters/tiercache": {
		own: []string{"domain", "ports"}, others: []string{"github.com/maypok86/otter"}, clock: true,
		// It joins two other adapters behind their ports: its tests join the real ones.
		tests: []string{"adapters/rediskv", "adapters/natsbus"},
	},
	"adapters/gcra": {
		own: []string{"domain", "ports"}, clock: true,
		// Its tests join it with the shared limiter that it goes with.
		tests: []string{"adapters/rediskv"},
	},
	"adapters/postgres":     storage("github.com/jackc/pgx", "github.com/google/uuid", "github.com/pressly/goose"),
	"adapters/sqlite":       storage("modernc.org/sqlite", "github.com/google/uuid", "github.com/pressly/goose"),
	"adapters/rediskv":      outbound("github.com/redis/go-redis"),
	"adapters/natsbus":      outbound("github.com/nats-io/nats.go", "github.com/nats-io/nats-server"),
	"adapters/openai":       streaming(),
	"adapters/anthropic":    streaming(),
	"adapters/meshy":        service(),
	"adapters/embedding":    service(),
	"adapters/mubert":       service(),
	"adapters/freesound":    service(),
	"adapters/openaiimages": pictures(),
	"adapters/stability":    pictures(),
	"adapters/midjourney":   pictures(),
	"adapters/telemetry":    outbound("go.opentelemetry.io/otel", "go.opentelemetry.io/proto/otlp", "google.golang.org/protobuf"),
	"adapters/jwtauth":      outbound("github.com/golang-jwt/jwt", "github.com/maypok86/otter"),
	"adapters/internalauth": outbound(),
	"adapters/filesystem":   outbound(),
	"adapters/mcpfiles": {
		own: []string{"domain", "ports"}, others: []string{"github.com/modelcontextprotocol/go-sdk"}, clock: true,
		// It stands between files and servers of tools: its tests join the real ones.
		tests: []string{"adapters/filesystem", "adapters/mcptools", "ports/portstest"},
	},
	"adapters/supabase":  outbound("golang.org/x/sync"),
	"adapters/mcptools":  outbound("github.com/modelcontextprotocol/go-sdk", "github.com/google/jsonschema-go"),
	"adapters/localauth": outbound("github.com/golang-jwt/jwt", "golang.org/x/crypto/argon2"),

	// What the adapters of databases share.
	"adapters/internal/history":     {own: []string{"domain"}},
	"adapters/internal/assetsearch": {},

	// What adapters of storages share.
	"adapters/internal/blobsource": {own: []string{"domain"}},

	// What adapters of services that make pictures share.
	"adapters/internal/picture": {own: []string{"domain"}},

	// What adapters of providers share: one reads events, one makes calls that answer with them.
	"adapters/internal/eventstream":  {},
	"adapters/internal/upstream":     {own: []string{"domain", "adapters/internal/eventstream"}, clock: true},
	"adapters/internal/upstreamtest": {own: []string{"adapters/internal/upstream"}, clock: true},

	"cmd": {own: []string{""}, others: []string{"*"}, clock: true, env: true},

	"internal/arch":    {},
	"internal/logging": {others: []string{"github.com/lmittmann/tint"}, clock: true},
	"internal/testenv": {
		clock: true, env: true,
		others: []string{
			"github.com/testcontainers/testcontainers-go", "github.com/moby/moby", "github.com/jackc/pgx",
			"github.com/redis/go-redis", "github.com/nats-io/nats.go", "github.com/minio/minio-go",
		},
	},
	"tests": {own: []string{"api", "db", "domain", "internal/testenv"}, others: []string{"*"}, clock: true, env: true},
	// It has a client's validator look at what the built-in generator makes.
	"tests/sdk": {own: []string{"tests"}, others: []string{"*"}, clock: true, env: true, tests: []string{"adapters/procedural"}},
	// It joins databases and the bus, and kills what stands between.
	"tests/outbox": {
		others: []string{"*"}, clock: true, env: true, tests: []string{"adapters/postgres", "adapters/sqlite", "adapters/natsbus"},
	},
	// It joins what only the program joins otherwise, to count queries.
	"tests/warm": {
		others: []string{"*"}, clock: true,
		tests: []string{"adapters/gcra", "adapters/memory", "adapters/natsbus", "adapters/postgres", "adapters/rediskv", "adapters/tiercache", "app", "ports/portstest"},
	},
}

func outbound(technology ...string) rule {
	return rule{own: []string{"domain", "ports"}, others: technology, clock: true}
}

// streaming is for adapters of providers that answer with event streams.
func streaming() rule {
	r := outbound()
	r.own = append(r.own, "adapters/internal/upstream")
	r.tests = []string{"adapters/internal/eventstream", "adapters/internal/upstreamtest"}
	return r
}

// service is for adapters of services that work to order.
func service() rule {
	r := outbound()
	r.own = append(r.own, "adapters/internal/upstream")
	return r
}

// pictures is for adapters of services that make pictures to order.
func pictures() rule {
	r := service()
	r.own = append(r.own, "adapters/internal/picture")
	return r
}

func storage(technology ...string) rule {
	r := outbound(technology...)
	r.own = append(r.own, "db", "adapters/internal/history", "adapters/internal/assetsearch")
	return r
}

var (
	// testsMay is what the tests of any package may import besides.
	testsMay = []string{"domain", "ports", "app", "api", "db", "adapters/memory", "internal/testenv", "tests"}
	// onlyTestenv starts containers; everybody else asks testenv for a server.
	onlyTestenv = []string{"github.com/testcontainers/testcontainers-go", "github.com/moby/moby"}
	// testOnly is for test files, and for what lives to serve them.
	testOnly = []string{"internal/testenv", "ports/portstest", "adapters/internal/upstreamtest", "tests", "testing", "net/http/httptest"}
	testers  = []string{"internal/testenv", "ports/portstest", "adapters/internal/upstreamtest", "tests"}
)

// pkg is what the rules look at in a package.
type pkg struct {
	path    string // below the module; "" is its root
	imports []string
	tests   []string // imports of its test files
	calls   []string // of the standard library in its production files, as "time.Now"
}

func TestImportsAndCalls(t *testing.T) {
	t.Parallel()
	pkgs := load(t)
	if len(pkgs) < 5 {
		t.Fatalf("go list found only %d packages", len(pkgs))
	}
	for _, v := range violations(pkgs) {
		t.Error(v)
	}
	for row := range rules {
		if !slices.ContainsFunc(pkgs, func(p pkg) bool { return within(p.path, row) }) {
			t.Errorf("the row %q stands for no package", row)
		}
	}
}

func violations(pkgs []pkg) []string {
	var found []string
	for _, p := range pkgs {
		row, ok := rowOf(p.path)
		if !ok {
			found = append(found, p.path+" has no row in the table of imports")
			continue
		}
		for _, i := range p.imports {
			if why := refuse(p.path, row, i); why != "" {
				found = append(found, fmt.Sprintf("%s imports %s: %s", p.path, i, why))
			}
		}
		for _, i := range p.tests {
			if why := refuseInTest(p.path, row, i); why != "" {
				found = append(found, fmt.Sprintf("a test of %s imports %s: %s", p.path, i, why))
			}
		}
		for _, c := range p.calls {
			if why := refuseCall(rules[row], c); why != "" {
				found = append(found, fmt.Sprintf("%s calls %s: %s", p.path, c, why))
			}
		}
	}
	return found
}

// rowOf is the row with the longest path that holds p.
func rowOf(p string) (string, bool) {
	for row := p; row != "." && row != ""; row = path.Dir(row) {
		if _, ok := rules[row]; ok {
			return row, true
		}
	}
	return "", false
}

func refuse(p, row, imported string) string {
	r := rules[row]
	own, inModule := ownPath(imported)
	name := imported
	if inModule {
		name = own
	}
	switch {
	case withinAny(name, testOnly) && !withinAny(p, testers):
		return "it is for tests"
	case inModule && within(own, "cmd"):
		return "nothing imports cmd"
	case inModule && !within(own, row) && !withinAny(own, r.own):
		return "it is not of a ring that this one may see"
	case inModule:
		return ""
	case within(imported, "net/http") && r.noHTTP:
		return "this ring does not know HTTP"
	case standard(imported) || withinAny(imported, r.others):
		return ""
	default:
		return "this technology is not its own"
	}
}

func refuseInTest(p, row, imported string) string {
	own, inModule := ownPath(imported)
	switch {
	case inModule && within(own, "cmd") && !within(p, "cmd"):
		return "nothing imports cmd"
	case inModule && !within(own, row) && !withinAny(own, slices.Concat(testsMay, rules[row].own, rules[row].tests)):
		return "the tests of this package may not see it"
	case withinAny(imported, onlyTestenv) && !within(p, "internal/testenv"):
		return "internal/testenv is what finds servers"
	}
	return ""
}

func refuseCall(r rule, call string) string {
	switch call {
	case "time.Now", "time.Since", "time.Until":
		if !r.clock {
			return "time comes through a port"
		}
	case "os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv":
		if !r.env {
			return "cmd reads the environment"
		}
	}
	return ""
}

func ownPath(imported string) (string, bool) {
	return strings.CutPrefix(imported, module+"/")
}

func within(p, root string) bool {
	return root == "" || p == root || strings.HasPrefix(p, root+"/")
}

func withinAny(p string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return root == "*" || within(p, root) })
}

func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// listed is what `go list -json` says about a package.
type listed struct {
	ImportPath, Dir                    string
	GoFiles, CgoFiles                  []string
	Imports, TestImports, XTestImports []string
}

func load(t *testing.T) []pkg {
	t.Helper()
	openFolders(t)
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e",
		"-json=ImportPath,Dir,GoFiles,CgoFiles,Imports,TestImports,XTestImports", module+"/...")
	cmd.Dir = filepath.Join("..", "..")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, &stderr)
	}
	var pkgs []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var l listed
		if err := d.Decode(&l); err != nil {
			t.Fatal(err)
		}
		own, ok := ownPath(l.ImportPath)
		if !ok {
			t.Errorf("a package at the root of the module: %s", l.ImportPath)
			continue
		}
		p := pkg{path: own, imports: l.Imports, tests: slices.Concat(l.TestImports, l.XTestImports)}
		for _, name := range slices.Concat(l.GoFiles, l.CgoFiles) {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(l.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			p.calls = append(p.calls, calls(file)...)
		}
		slices.Sort(p.calls)
		p.calls = slices.Compact(p.calls)
		pkgs = append(pkgs, p)
	}
	return pkgs
}

// openFolders makes `go test` run this again when a file has changed anywhere:
// it keeps a pass until something that the test itself has opened is different,
// and does not see what go list reads.
func openFolders(t *testing.T) {
	t.Helper()
	for _, ring := range []string{"api", "domain", "ports", "app", "adapters", "cmd", "db", "internal", "tests"} {
		err := filepath.WalkDir(filepath.Join("..", "..", ring), func(_ string, _ fs.DirEntry, err error) error { return err })
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// calls lists what a file uses of the packages time and os, under whatever name
// it imports them. Naming a function counts as calling it: it will be called.
func calls(file *ast.File) []string {
	local := map[string]string{}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil || (imported != "time" && imported != "os") {
			continue
		}
		name := imported
		if spec.Name != nil {
			name = spec.Name.Name
		}
		local[name] = imported
	}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && local[x.Name] != "" {
				found = append(found, local[x.Name]+"."+sel.Sel.Name)
			}
		}
		return true
	})
	return found
}

// The rules themselves: each planted fault must be found, and nothing else.
func TestPlantedFaultsAreFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		pkg  pkg
		want string // part of the only violation; "" wants none
	}{
		{"domain stays pure", pkg{path: "domain", imports: []string{"github.com/google/uuid"}}, "not its own"},
		{"domain without HTTP", pkg{path: "domain", imports: []string{"net/http"}}, "does not know HTTP"},
		{"app without HTTP", pkg{path: "app", imports: []string{"net/http/httputil"}}, "does not know HTTP"},
		{"app does not see adapters", pkg{path: "app", imports: []string{"gaia/adapters/postgres"}}, "not of a ring"},
		{"ports do not see app", pkg{path: "ports", imports: []string{"gaia/app"}}, "not of a ring"},
		{"httpapi does not see ports", pkg{path: "adapters/httpapi", imports: []string{"gaia/ports"}}, "not of a ring"},
		{"httpapi does not see postgres", pkg{path: "adapters/httpapi", imports: []string{"gaia/adapters/postgres"}}, "not of a ring"},
		{"nor below itself", pkg{path: "adapters/httpapi/sub", imports: []string{"gaia/adapters/memory"}}, "not of a ring"},
		{"adapters do not see app", pkg{path: "adapters/postgres", imports: []string{"gaia/app"}}, "not of a ring"},
		{"foreign technology", pkg{path: "adapters/postgres", imports: []string{"github.com/redis/go-redis/v9"}}, "not its own"},
		{"a name is no prefix", pkg{path: "domain", imports: []string{"gaia/domainless"}}, "not of a ring"},
		{"nobody imports cmd", pkg{path: "tests/e2e", imports: []string{"gaia/cmd/gaia"}}, "nothing imports cmd"},
		{"nor does a test", pkg{path: "app", tests: []string{"gaia/cmd/gaia"}}, "nothing imports cmd"},
		{"test support in production", pkg{path: "adapters/postgres", imports: []string{"gaia/ports/portstest"}}, "for tests"},
		{"even in cmd", pkg{path: "cmd/gaia", imports: []string{"gaia/internal/testenv"}}, "for tests"},
		{"testing in production", pkg{path: "app", imports: []string{"testing"}}, "for tests"},
		{"a test sees a foreign adapter", pkg{path: "app", tests: []string{"gaia/adapters/postgres"}}, "may not see"},
		{"a test starts a container", pkg{path: "adapters/postgres", tests: []string{"github.com/testcontainers/testcontainers-go"}}, "internal/testenv"},
		{"clock in app", pkg{path: "app", calls: []string{"time.Now"}}, "through a port"},
		{"clock in domain", pkg{path: "domain", calls: []string{"time.Since"}}, "through a port"},
		{"environment in an adapter", pkg{path: "adapters/openai", calls: []string{"os.Getenv"}}, "cmd reads"},
		{"no row", pkg{path: "util"}, "no row"},
		{"no row for an adapter", pkg{path: "adapters/fax"}, "no row"},

		{"good app", pkg{path: "app", imports: []string{"gaia/domain", "gaia/ports", "golang.org/x/sync/singleflight", "time"}, calls: []string{"time.Duration"}}, ""},
		{"good app test", pkg{path: "app", tests: []string{"gaia/adapters/memory", "go.uber.org/goleak"}}, ""},
		{"good adapter", pkg{path: "adapters/postgres", imports: []string{"gaia/db", "gaia/adapters/postgres/internal/sqlcgen", "github.com/jackc/pgx/v5/pgxpool"}, calls: []string{"time.Now"}}, ""},
		{"good cmd", pkg{path: "cmd/gaia", imports: []string{"gaia/adapters/openai", "github.com/caarlos0/env/v11"}, calls: []string{"os.Environ", "time.Now"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := violations([]pkg{c.pkg})
			if c.want == "" && len(got) != 0 {
				t.Errorf("refused: %q", got)
			}
			if c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
				t.Errorf("found %q, want one with %q", got, c.want)
			}
		})
	}
}

func TestCallsAreFoundUnderAnyName(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "planted.go", `package planted
import ("os"; clock "time")
var now = clock.Now
func f() string { return os.Getenv("X") }
type time struct{ Since int }
var _ = time{}.Since
`, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := calls(file), []string{"time.Now", "os.Getenv"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}
