package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// output is the -o flag of a command that prints data.
type output struct{ format string }

func (o *output) flag(c *cobra.Command) {
	c.Flags().StringVarP(&o.format, "output", "o", "text", "text or json")
	c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

// json says whether JSON is wanted, or that the flag is wrong.
func (o *output) json() (bool, error) {
	switch o.format {
	case "text":
		return false, nil
	case "json":
		return true, nil
	}
	return false, fault.New(fault.Invalid, "-o %s is not known", o.format).WithHint("use -o text or -o json")
}

// print writes v as JSON, or calls text.
func (o *output) print(w io.Writer, v any, text func(w io.Writer)) error {
	asJSON, err := o.json()
	if err != nil {
		return err
	}
	if !asJSON {
		text(w)
		return nil
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printLine writes v as one line of JSON.
func printLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// row is a line of a table, and what there is to say about it that fits no column: the lines below it.
type row struct {
	cells []string
	notes []string
}

// cells is a row without notes.
func cells(c ...string) row { return row{cells: c} }

// table writes rows in columns below a head.
func table(w io.Writer, head []string, rows []row) {
	width := make([]int, len(head))
	measure := func(line []string) {
		for i, cell := range line {
			line[i] = clean(cell)
			width[i] = max(width[i], utf8.RuneCountInString(line[i]))
		}
	}
	measure(head)
	for _, r := range rows {
		measure(r.cells)
	}
	var text strings.Builder
	write := func(line []string) {
		for i, cell := range line {
			if i == len(line)-1 {
				text.WriteString(cell)
				break
			}
			fmt.Fprintf(&text, "%-*s  ", width[i], cell)
		}
		text.WriteByte('\n')
	}
	write(head)
	for _, r := range rows {
		write(r.cells)
		for _, note := range r.notes {
			for _, line := range wrapped(clean(note), noteWidth) {
				fmt.Fprintf(&text, "    %s\n", line)
			}
		}
	}
	io.WriteString(w, text.String())
}

// noteWidth is how many characters a line of a note has at most.
const noteWidth = 108

// wrapped cuts s into lines of at most width characters, between words where there are any.
func wrapped(s string, width int) []string {
	var lines []string
	for r := []rune(s); ; {
		if len(r) <= width {
			return append(lines, string(r))
		}
		cut := width
		for i := width; i > width/2; i-- {
			if r[i] == ' ' {
				cut = i
				break
			}
		}
		lines = append(lines, string(r[:cut]))
		r = []rune(strings.TrimLeft(string(r[cut:]), " "))
	}
}

// clean keeps what a function or an event says from moving the terminal's cursor or breaking a table.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return ' '
		}
		return r
	}, s)
}

// stamp is a time for people: local; to the millisecond and without the date when it is today's.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	t = t.Local()
	if t.Format(time.DateOnly) == time.Now().Format(time.DateOnly) {
		return t.Format("15:04:05.000")
	}
	return t.Format(time.DateTime)
}

// took is a duration for people: three or four digits of it.
func took(d function.Duration) string {
	t := d.Std()
	switch {
	case t < time.Millisecond:
		t = t.Round(time.Microsecond)
	case t < time.Second:
		t = t.Round(100 * time.Microsecond)
	default:
		t = t.Round(10 * time.Millisecond)
	}
	return t.String()
}

// roughly is a size for people: what has no short form is rounded to a tenth of its largest unit. Kafka bounds each partition for
// itself, so that a topic's bound may miss a round number by some bytes.
func roughly(size string) string {
	var b function.Bytes
	if b.UnmarshalText([]byte(size)) != nil {
		return size
	}
	if exact := b.String(); b < 1<<10 || strings.HasSuffix(exact, "i") && len(exact) <= len("1023Gi") {
		return exact
	}
	units := []string{"Ki", "Mi", "Gi", "Ti"}
	n, i := float64(b)/1024, 0
	for ; n >= 1024-0.05 && i < len(units)-1; i++ {
		n /= 1024
	}
	return strings.TrimSuffix(strconv.FormatFloat(n, 'f', 1, 64), ".0") + units[i]
}

// jsonLine is JSON on one line, with < > & as they are.
func jsonLine(raw json.RawMessage) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	var v any
	if json.Unmarshal(raw, &v) != nil || enc.Encode(v) != nil {
		return clean(string(raw))
	}
	return strings.TrimSpace(b.String())
}

// short cuts s to n characters.
func short(s string, n int) string {
	r := []rune(clean(s))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n-1]) + "…"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// count is a number of things, for people.
func count(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
