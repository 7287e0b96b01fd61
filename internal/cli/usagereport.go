package cli

import (
	"encoding/csv"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func usageCommand(env *environment) *cobra.Command {
	var since, until, by, prices, format string
	c := &cobra.Command{
		Use:   "usage [--since TIME] [--until TIME] [--by function|environment|day]",
		Short: "Say what functions used, and what that costs: invocations, GB-seconds, bytes, build minutes",
		Long: `Say what functions used: invocations, GiB times seconds, bytes of requests and answers, minutes of builds. It is counted by the hour, and hours are
not divided: --since 30m is all of the hour that was then. With --prices FILE it says what that costs. See docs/usage.md.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !slices.Contains(wire.UsageSums(), by) {
				return usageError{c.CommandPath(), fmt.Errorf("--by: %q is none of %s", by, strings.Join(wire.UsageSums(), ", "))}
			}
			if !slices.Contains([]string{"text", "json", "csv"}, format) {
				return usageError{c.CommandPath(), fmt.Errorf("-o: %q is none of text, json, csv", format)}
			}
			list, err := readPrices(prices)
			if err != nil {
				return err
			}
			for _, t := range []string{since, until} {
				if _, err := moment(t); err != nil {
					return err
				}
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			used, err := node.Usage(c.Context(), since, until, by)
			if err != nil {
				return err
			}
			r, err := sumUp(used.Sums, list)
			if err != nil {
				return err
			}
			r.Lacking = used.Lacking
			for _, hour := range used.Lacking {
				fmt.Fprintf(c.ErrOrStderr(), "warning: the hour from %s may not be whole: the log had let go of records, which may be of it, before they were counted; more may have been used\n", hour.UTC().Format("2006-01-02 15:04Z"))
			}
			switch format {
			case "json":
				return printLine(c.OutOrStdout(), r)
			case "csv":
				return reportCSV(c.OutOrStdout(), r.Usage, by)
			}
			if len(r.Usage) == 0 {
				fmt.Fprintln(c.ErrOrStderr(), "nothing was used in that time")
				return nil
			}
			table(c.OutOrStdout(), reportHead(by, list), r.rows())
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&since, "since", "", "from the hour of this time on, or how long ago (default 1d)")
	f.StringVar(&until, "until", "", "hours that begin before this time (default now)")
	f.StringVar(&by, "by", wire.UsageByFunction, "what is summed up: function, environment or day (in UTC)")
	f.StringVar(&prices, "prices", "", "file with prices (YAML)")
	f.StringVarP(&format, "output", "o", "text", "text, json or csv")
	return c
}

// usageReport is what was used, by function, environment or day. The total is no line of it: a function may have any name.
type usageReport struct {
	Usage   []reportLine `json:"usage"`
	Total   reportLine   `json:"total"`
	Lacking []time.Time  `json:"lacking,omitempty"` // hours in which more may have been used
}

// rows are the report as a person reads it, with the total where that is of several.
func (r *usageReport) rows() []row {
	var rows []row
	for _, l := range r.Usage {
		rows = append(rows, cells(l.cells()...))
	}
	if len(r.Usage) > 1 {
		total := r.Total
		total.Name = "(total)"
		rows = append(rows, cells(total.cells()...))
	}
	return rows
}

// reportLine is what one function, environment or day used; the total has no name.
type reportLine struct {
	Name        string `json:"name,omitempty"`
	Invocations int64  `json:"invocations"`
	Seconds     string `json:"seconds"`
	GBSeconds   string `json:"gbSeconds"`
	BytesIn     int64  `json:"bytesIn"`
	BytesOut    int64  `json:"bytesOut"`
	BuildMin    string `json:"buildMinutes"`
	Cost        string `json:"cost,omitempty"`
	Currency    string `json:"currency,omitempty"`
}

func (l *reportLine) cells() []string {
	all := []string{l.Name, strconv.FormatInt(l.Invocations, 10), l.Seconds, l.GBSeconds, strconv.FormatInt(l.BytesIn, 10), strconv.FormatInt(l.BytesOut, 10), l.BuildMin}
	if l.Cost != "" {
		all = append(all, l.Cost)
	}
	return all
}

func reportHead(by string, p *function.Prices) []string {
	head := []string{strings.ToUpper(by), "INVOCATIONS", "SECONDS", "GB-SECONDS", "BYTES IN", "BYTES OUT", "BUILD MIN"}
	if p != nil {
		head = append(head, strings.TrimSpace("COST "+p.Currency))
	}
	return head
}

// sumUp is the report of sums, with their total.
func sumUp(sums []wire.UsageSum, p *function.Prices) (*usageReport, error) {
	var total function.Used
	r := &usageReport{Usage: []reportLine{}}
	for i := range sums {
		l, err := reported(sums[i].Name, &sums[i].Used, p)
		if err != nil {
			return nil, err
		}
		r.Usage = append(r.Usage, l)
		total.Add(sums[i].Used)
	}
	var err error
	r.Total, err = reported("", &total, p)
	return r, err
}

func reported(name string, u *function.Used, p *function.Prices) (reportLine, error) {
	l := reportLine{
		Name: name, Invocations: u.Invocations, Seconds: big.NewRat(u.Millis, 1000).FloatString(3), GBSeconds: u.GBSeconds().FloatString(6),
		BytesIn: u.BytesIn, BytesOut: u.BytesOut, BuildMin: big.NewRat(u.BuildMillis, 60_000).FloatString(2),
	}
	if p == nil {
		return l, nil
	}
	cost, err := p.Of(u)
	if err != nil {
		return l, err
	}
	l.Cost, l.Currency = cost.FloatString(6), p.Currency
	return l, nil
}

func reportCSV(to io.Writer, lines []reportLine, by string) error {
	w := csv.NewWriter(to)
	_ = w.Write([]string{by, "invocations", "seconds", "gb_seconds", "bytes_in", "bytes_out", "build_minutes", "cost", "currency"}) // Flush says what is wrong
	for _, l := range lines {
		fields := l.cells()
		if l.Cost == "" {
			fields = append(fields, "")
		}
		_ = w.Write(append(fields, l.Currency))
	}
	w.Flush()
	return w.Error()
}
