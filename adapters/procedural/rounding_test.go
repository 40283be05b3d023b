package procedural

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestProductsAreRounded finds products of floating-point numbers that some processors would join with a sum. Allowed are those that a
// conversion rounds, those that are factors themselves or compared, those with a power of two, which are exact, and those that are
// handed to a method of what makes models: none of these adds to them but after a rounding.
func TestProductsAreRounded(t *testing.T) {
	t.Parallel()
	fset, files := token.NewFileSet(), []*ast.File{}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	if len(files) < 10 {
		t.Fatalf("%d files", len(files))
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	// Packages of this module need not be found: no numbers come from them.
	conf := types.Config{Importer: importer.ForCompiler(fset, "source", nil), Error: func(error) {}}
	_, _ = conf.Check("procedural", fset, files, info)
	products := 0
	for _, file := range files {
		var above []ast.Node
		ast.Inspect(file, func(n ast.Node) bool {
			if n == nil {
				above = above[:len(above)-1]
				return true
			}
			if product(info, n) {
				products++
				if !isRounded(info, n, above) {
					t.Errorf("%s: a product that is not rounded", fset.Position(n.Pos()))
				}
			}
			above = append(above, n)
			return true
		})
	}
	if products < 500 {
		t.Errorf("found only %d products", products)
	}
}

// product reports whether a node is a product of floats that the compiler does not work out itself.
func product(info *types.Info, n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		return n.Op == token.MUL && float(info, n) && info.Types[n].Value == nil
	case *ast.AssignStmt:
		return n.Tok == token.MUL_ASSIGN && float(info, n.Lhs[0])
	}
	return false
}

func float(info *types.Info, e ast.Expr) bool {
	t := info.Types[e].Type
	if t == nil {
		return false
	}
	basic, ok := t.Underlying().(*types.Basic)
	return ok && basic.Info()&types.IsFloat != 0
}

func isRounded(info *types.Info, n ast.Node, above []ast.Node) bool {
	b, ok := n.(*ast.BinaryExpr)
	if !ok {
		return false // x *= y
	}
	for _, factor := range []ast.Expr{b.X, b.Y} {
		if v := info.Types[factor].Value; v != nil && slices.Contains([]string{"0.25", "0.5", "2", "4", "8"}, v.String()) {
			return true
		}
	}
	literal := false
	for _, parent := range slices.Backward(above) {
		switch p := parent.(type) {
		case *ast.ParenExpr:
			continue
		case *ast.CompositeLit, *ast.UnaryExpr, *ast.KeyValueExpr:
			literal = true
			continue
		case *ast.BinaryExpr:
			return !literal && !slices.Contains([]token.Token{token.ADD, token.SUB}, p.Op)
		case *ast.CallExpr:
			return !literal && conversion(p) || sculpting(info, p)
		}
		return false
	}
	return false
}

func conversion(c *ast.CallExpr) bool {
	name, ok := c.Fun.(*ast.Ident)
	return ok && slices.Contains([]string{"float64", "float32", "int", "uint8"}, name.Name)
}

// sculpting reports whether a call only hands numbers on through memory.
func sculpting(info *types.Info, c *ast.CallExpr) bool {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name == "at"
	case *ast.SelectorExpr:
		t := info.Types[f.X].Type
		return t != nil && slices.Contains([]string{"*procedural.sculptor", "*procedural.land", "*procedural.figure", "procedural.frame"}, t.String())
	}
	return false
}
