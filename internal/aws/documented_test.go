package aws_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/aws"
)

var update = flag.Bool("update", false, "write the table of operations of docs/aws.md")

func TestOperationsAreDocumented(t *testing.T) {
	holdsTable(t, aws.Documentation())
}

func TestOperationsOfEventBridgeAreDocumented(t *testing.T) {
	holdsTable(t, aws.EventBridgeDocumentation())
}

func holdsTable(t *testing.T, operations []aws.Documented) {
	t.Helper()
	const file = "../../docs/aws.md"
	var table strings.Builder
	table.WriteString("| operation | here |\n|---|---|\n")
	for _, o := range operations {
		if !o.There {
			o.Note = "**not there**: " + o.Note
		}
		table.WriteString("| `" + strings.Join(o.Names, "`, `") + "` | " + o.Note + " |\n")
	}
	begin, end := "<!-- written by: go test ./internal/aws -run "+t.Name()+" -update -->\n", "<!-- end -->\n"
	text, err := os.ReadFile(file)
	ok(t, err)
	before, rest, there := strings.Cut(string(text), begin)
	was, after, ended := strings.Cut(rest, end)
	if !there || !ended {
		t.Fatalf("%s has no place for the table", file)
	}
	if was == table.String() {
		return
	}
	if !*update {
		t.Fatalf("%s has another table than the code; go test ./internal/aws -run %s -update writes it", file, t.Name())
	}
	ok(t, os.WriteFile(file, []byte(before+begin+table.String()+end+after), 0o644))
}
