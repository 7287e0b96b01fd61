package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
)

// Habit is a rule of the project's style that reads one file. Name is what an Exception names.
type Habit struct {
	Name  string
	check func(f *File) []string
}

// Habits are those rules of style that a parser can hold.
func Habits() []Habit {
	return []Habit{
		{"init", noInit},
		{"edge", edgeOnly},
		{"name", packageName},
		{"sleep", noSleep},
		{"skip", noSkip},
		{"length", shortFile},
		{"state", noState},
		{"todo", noTodo},
		{"ctx", noStoredContext},
		{"words", verbFirst},
	}
}

// CheckHabits returns one line for each break of a habit that has no exception. An exception that covers nothing is
// reported too, so that the list stays true.
func CheckHabits(files []*File, exceptions []Exception) []string {
	var bad []string
	used := make([]bool, len(exceptions))
	for _, h := range Habits() {
		for _, f := range files {
			found := h.check(f)
			if len(found) == 0 {
				continue
			}
			i := slices.IndexFunc(exceptions, func(e Exception) bool {
				return e.Habit == h.Name && (f.Path == e.Path || strings.HasPrefix(f.Path, e.Path+"/"))
			})
			if i >= 0 {
				used[i] = true
				continue
			}
			for _, line := range found {
				bad = append(bad, line+" ["+h.Name+"]")
			}
		}
	}
	for i, e := range exceptions {
		if !used[i] {
			bad = append(bad, fmt.Sprintf("%s: the exception from %q covers nothing: remove it", e.Path, e.Habit))
		}
	}
	return append(bad, docComments(files)...)
}

// noInit: style 8, no init().
func noInit(f *File) []string {
	var bad []string
	for _, d := range f.AST.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			bad = append(bad, f.at(fn.Pos())+": init(): let a constructor or app do it")
		}
	}
	return bad
}

// edgeOnly: style 7, only cli and cmd touch args, environment, signals and exit.
func edgeOnly(f *File) []string {
	dir := f.Dir()
	if testCode(f) || dir == "internal/cli" || dir == "internal/need" || f.AST.Name.Name == "main" {
		return nil
	}
	return uses(f, map[string][]string{
		"os":        {"Exit", "Getenv", "LookupEnv", "Environ", "Setenv", "ExpandEnv", "Args"},
		"os/signal": {"Notify", "NotifyContext", "Ignore"},
		"flag":      {"Parse", "CommandLine"},
		"log":       {"Fatal", "Fatalf", "Fatalln", "Print", "Printf", "Println"},
	}, "only cli and cmd touch args, environment, signals and exit")
}

// packageName: style 2, no package that says nothing, none that shadows the standard library's common names.
func packageName(f *File) []string {
	name := strings.TrimSuffix(f.AST.Name.Name, "_test")
	switch name {
	case "util", "utils", "common", "helper", "helpers", "types", "model", "models", "base", "misc", "shared",
		"log", "http", "runtime", "errors", "context", "time", "sync", "net", "io", "os":
		return []string{fmt.Sprintf("%s: package %s: name it for what it owns", f.Path, name)}
	}
	if name != "main" && name != path.Base(f.Dir()) {
		return []string{fmt.Sprintf("%s: package %s is not named as its directory", f.Path, name)}
	}
	return nil
}

// noSleep: style 24, a test waits for what it wants, it does not sleep. Two things are no waiting: sleeping in a synctest
// bubble, which is how its time moves on, and sleeping for hours, which is how a test's program hangs.
func noSleep(f *File) []string {
	if !testCode(f) || slices.Contains(f.Imports(), "testing/synctest") {
		return nil
	}
	var bad []string
	ast.Inspect(f.AST, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 || mentions(call.Args[0], "Hour") {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
			if id, ok := sel.X.(*ast.Ident); ok && id.Name == "time" {
				bad = append(bad, f.at(call.Pos())+": time.Sleep: wait for the event, or use testing/synctest")
			}
		}
		return true
	})
	return bad
}

func mentions(e ast.Expr, name string) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		found = found || ok && id.Name == name
		return !found
	})
	return found
}

// noSkip: style 23, a test skips by name through need. The Skip of a *rapid.T is another word: it gives up one random
// step, not the test.
func noSkip(f *File) []string {
	if !testCode(f) {
		return nil
	}
	var bad []string
	ast.Inspect(f.AST, func(n ast.Node) bool {
		var typ *ast.FuncType
		switch fn := n.(type) {
		case *ast.FuncLit:
			typ = fn.Type
		case *ast.FuncDecl:
			typ = fn.Type
		case *ast.CallExpr:
			sel, ok := fn.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			id, ok := sel.X.(*ast.Ident)
			if ok && slices.Contains([]string{"t", "b", "tb", "f"}, id.Name) && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
				bad = append(bad, f.at(fn.Pos())+": skips by itself: say what it needs through internal/need")
			}
		}
		return typ == nil || !slices.ContainsFunc(typ.Params.List, func(p *ast.Field) bool { return mentions(p.Type, "rapid") })
	})
	return bad
}

// maxLines: style 3.
const maxLines = 600

func shortFile(f *File) []string {
	if f.Test() || f.Lines <= maxLines || ast.IsGenerated(f.AST) {
		return nil
	}
	return []string{fmt.Sprintf("%s: %d lines: past %d ask what second idea crept in", f.Path, f.Lines, maxLines)}
}

// noState: style 8, no package-level mutable state. A parser sees the plain cases: variables that are declared without a
// value, and those that hold a lock, an atomic or a map or channel made to be filled.
func noState(f *File) []string {
	if testCode(f) {
		return nil
	}
	var bad []string
	for _, d := range f.AST.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		embedded := strings.Contains(commentText(g.Doc), "go:embed")
		for _, s := range g.Specs {
			v, ok := s.(*ast.ValueSpec)
			if !ok || v.Names[0].Name == "_" || embedded || strings.Contains(commentText(v.Doc), "go:embed") {
				continue
			}
			if len(v.Values) == 0 || slices.ContainsFunc(v.Values, madeToFill) {
				bad = append(bad, fmt.Sprintf("%s: var %s is state of the package: put it in a value that somebody owns", f.at(v.Pos()), v.Names[0].Name))
			}
		}
	}
	return bad
}

// commentText is a comment with its directives, which ast.CommentGroup.Text leaves out.
func commentText(g *ast.CommentGroup) string {
	if g == nil {
		return ""
	}
	var b strings.Builder
	for _, c := range g.List {
		b.WriteString(c.Text)
	}
	return b.String()
}

// madeToFill: make(...), new(...), an empty map literal, or a value of package sync.
func madeToFill(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CallExpr:
		id, ok := e.Fun.(*ast.Ident)
		return ok && (id.Name == "make" || id.Name == "new")
	case *ast.UnaryExpr:
		return madeToFill(e.X)
	case *ast.CompositeLit:
		if _, ok := e.Type.(*ast.MapType); ok && len(e.Elts) == 0 {
			return true
		}
		if sel, ok := e.Type.(*ast.SelectorExpr); ok {
			id, ok := sel.X.(*ast.Ident)
			return ok && (id.Name == "sync" || id.Name == "atomic")
		}
	}
	return false
}

// noTodo: what is not done is in an issue, not in the code.
func noTodo(f *File) []string {
	if f.Dir() == "internal/archtest" {
		return nil
	}
	var bad []string
	for _, g := range f.AST.Comments {
		for _, c := range g.List {
			for _, w := range []string{"TODO", "FIXME", "XXX", "HACK"} {
				if strings.Contains(c.Text, w) {
					bad = append(bad, f.at(c.Pos())+": "+w+": do it, or make it an issue")
				}
			}
		}
	}
	return bad
}

// noStoredContext: style 12, a context comes with the call and goes with it.
func noStoredContext(f *File) []string {
	if testCode(f) {
		return nil
	}
	var bad []string
	ast.Inspect(f.AST, func(n ast.Node) bool {
		s, ok := n.(*ast.StructType)
		if !ok {
			return true
		}
		for _, field := range s.Fields.List {
			sel, ok := field.Type.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Context" {
				continue
			}
			if id, ok := sel.X.(*ast.Ident); ok && id.Name == "context" {
				bad = append(bad, f.at(field.Pos())+": a context in a struct: pass it with each call")
			}
		}
		return true
	})
	return bad
}

// verbFirst: style 16, an error names the action and not that it failed.
func verbFirst(f *File) []string {
	var bad []string
	ast.Inspect(f.AST, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING || testCode(f) {
			return true
		}
		text := strings.ToLower(strings.Trim(lit.Value, "\"`"))
		for _, w := range []string{"failed to", "error while"} {
			if strings.HasPrefix(text, w+" ") {
				bad = append(bad, f.at(lit.Pos())+": an error that begins with "+w+"...: say what was done, verb first")
			}
		}
		return true
	})
	return bad
}

// docComments: style 1, each package says what it owns and what it does not.
func docComments(files []*File) []string {
	doc := map[string]bool{}
	var dirs []string
	for _, f := range files {
		if f.Test() {
			continue
		}
		if _, ok := doc[f.Dir()]; !ok {
			dirs = append(dirs, f.Dir())
			doc[f.Dir()] = false
		}
		if f.AST.Doc != nil && len(strings.TrimSpace(f.AST.Doc.Text())) > 20 {
			doc[f.Dir()] = true
		}
	}
	var bad []string
	for _, d := range dirs {
		if !doc[d] {
			bad = append(bad, d+": the package has no doc comment: say what it owns and what it does not [doc]")
		}
	}
	return bad
}

// uses finds package-qualified names.
func uses(f *File, names map[string][]string, why string) []string {
	local := map[string]string{}
	for _, s := range f.AST.Imports {
		p := strings.Trim(s.Path.Value, `"`)
		n := path.Base(p)
		if s.Name != nil {
			n = s.Name.Name
		}
		local[n] = p
	}
	var bad []string
	ast.Inspect(f.AST, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		id, ok := sel.X.(*ast.Ident)
		if ok && slices.Contains(names[local[id.Name]], sel.Sel.Name) {
			bad = append(bad, fmt.Sprintf("%s: %s.%s: %s", f.at(sel.Pos()), id.Name, sel.Sel.Name, why))
		}
		return true
	})
	return bad
}
