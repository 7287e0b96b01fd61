package runnertest

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Document is a page with a table of tries between "<!-- NAME: begin -->" and "<!-- NAME: end -->": a column for the try, and one for each
// runner, which its head names.
type Document struct {
	Page   string // the file
	Name   string // of the table
	Update bool   // write what comes of the tries; else what the page says otherwise is a failure of the test
}

// Check compares what came of the tries with the column of a runner, or writes it there.
func (d Document) Check(t *testing.T, runner string, all []Escape) {
	t.Helper()
	if t.Failed() {
		return
	}
	b, err := os.ReadFile(d.Page)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+d.Name+": begin -->\n", "<!-- "+d.Name+": end -->\n"
	before, rest, begins := strings.Cut(string(b), begin)
	old, after, ends := strings.Cut(rest, end)
	table := cells(old)
	if !begins || !ends || len(table) < 2 || !slices.Contains(table[0], runner) {
		t.Fatalf("%s has no table %q with a column %s", d.Page, d.Name, runner)
	}
	got := fill(table, runner, all)
	if got == old {
		return
	}
	if !d.Update {
		t.Errorf("%s says\n%s\nand the tries end as\n%s", d.Page, old, got)
		return
	}
	if err := os.WriteFile(d.Page, []byte(before+begin+got+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// cells are those of a table in Markdown, row by row.
func cells(table string) (rows [][]string) {
	for line := range strings.Lines(table) {
		row := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		rows = append(rows, row)
	}
	return rows
}

// fill gives the table with a column as the tries end now. A try that is new is a row with empty cells for the other runners; one that
// nobody makes any more goes.
func fill(table [][]string, runner string, all []Escape) string {
	column := slices.Index(table[0], runner)
	head := table[0]
	rows := [][]string{head, slices.Repeat([]string{"---"}, len(head))}
	for _, e := range all {
		row := make([]string, len(head))
		for _, had := range table[2:] {
			if had[0] == e.Try {
				copy(row, had)
			}
		}
		row[0], row[column] = e.Try, e.Answer
		rows = append(rows, row)
	}
	var text strings.Builder
	for _, row := range rows {
		text.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	return text.String()
}
