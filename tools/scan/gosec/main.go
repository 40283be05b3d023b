// Command gosec looks for insecure code in the module of the working directory with the rules of the library of the same name. The
// library's own command brings clients of language models along and takes three minutes to build; this one needs seconds.
//
// A finding that is none is excused beside the code by "#nosec G123 -- why"; an excuse without a rule or a reason does not count.
package main

import (
	"cmp"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"

	"github.com/securego/gosec/v2"
	"github.com/securego/gosec/v2/analyzers"
	"github.com/securego/gosec/v2/issue"
	"github.com/securego/gosec/v2/rules"
)

func main() {
	findings, err := scan(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "gosec:", err)
		os.Exit(2)
	}
	if findings > 0 {
		os.Exit(1)
	}
}

// notShipped are folders whose code is in no program: tools and what only tests use. They start programs, invent credentials and need no
// good randomness.
var notShipped = regexp.MustCompile(`(^|/)(tools|tests|testenv|portstest|upstreamtest|\.git)(/|$)`)

// scan prints what it finds and returns how much that is. exclude names rules that are not asked.
func scan(exclude []string) (findings int, err error) {
	config := gosec.NewConfig()
	config.SetGlobal(gosec.NoSecRequireRules, "true")
	config.SetGlobal(gosec.NoSecRequireJustification, "true")
	analyzer := gosec.NewAnalyzer(config, false, true, false, runtime.GOMAXPROCS(0), log.New(io.Discard, "", 0))
	analyzer.LoadRules(rules.Generate(false, rules.NewRuleFilter(true, exclude...)).RulesInfo())
	analyzer.LoadAnalyzers(analyzers.Generate(false, analyzers.NewAnalyzerFilter(true, exclude...)).AnalyzersInfo())
	packages, err := gosec.PackagePaths("./...", []*regexp.Regexp{notShipped})
	if err != nil {
		return 0, err
	}
	if err := analyzer.Process(nil, packages...); err != nil {
		return 0, err
	}
	found, metrics, failures := analyzer.Report()
	for file, errs := range failures {
		for _, e := range errs {
			return 0, fmt.Errorf("%s:%d: %s", file, e.Line, e.Err)
		}
	}
	if metrics.NumFiles == 0 {
		return 0, fmt.Errorf("no file to look at in %d packages", len(packages))
	}
	print(found)
	fmt.Printf("gosec: %d files, %d lines, %d findings, %d excused with a reason\n", metrics.NumFiles, metrics.NumLines, len(found), metrics.NumNosec)
	return len(found), nil
}

func print(found []*issue.Issue) {
	here, err := os.Getwd()
	if err != nil {
		here = "/"
	}
	slices.SortFunc(found, func(a, b *issue.Issue) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	for _, f := range found {
		file := f.File
		if rel, err := filepath.Rel(here, file); err == nil {
			file = rel
		}
		fmt.Printf("%s:%s: %s (%s, severity %s, confidence %s)\n%s", file, f.Line, f.What, f.RuleID, f.Severity, f.Confidence, f.Code)
	}
}
