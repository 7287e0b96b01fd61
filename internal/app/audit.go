package app

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/dalamb/dalamb/internal/api"
	"github.com/dalamb/dalamb/internal/audit"
	"github.com/dalamb/dalamb/internal/audit/repository"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/deliver/git"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// auditDir is the audit's, in the data directory.
const auditDir = "audit"

// auditLook is how often a log is looked at that asks a cluster for the ends of each partition.
const auditLook = 10 * time.Second

// openAudit makes the log tamper-evident where that is wanted.
func (n *Node) openAudit() error {
	c := n.config.Audit
	if c.Checkpoints == "" {
		return nil
	}
	dir := filepath.Join(n.config.Data, auditDir)
	outside, err := openOutside(&c, dir)
	if err != nil {
		return err
	}
	look := time.Duration(0)
	if l, ok := n.log.(eventlog.Sharer); ok && l.Shared() {
		look = auditLook
	}
	n.audit, err = audit.New(audit.Options{
		Log: n.stored, Look: look, Dir: dir, Outside: outside, Every: c.Every.Std(), Except: c.Except, Logger: n.logger, Metrics: n.metrics,
	})
	return err
}

// openOutside is the place where checkpoints are brought.
func openOutside(c *config.Audit, dir string) (audit.Place, error) {
	if c.ToGit() {
		r, err := repository.New(repository.Options{URL: c.Checkpoints, Dir: filepath.Join(dir, "repository"), Git: git.Find(), Access: c.Access, KnownHosts: c.KnownHosts})
		if err != nil {
			return nil, err // and not a *repository.Repository that is nil
		}
		if at := r.Local(); at != "" {
			return r, audit.Apart(at, dir)
		}
		return r, nil
	}
	path, err := filepath.Abs(c.Checkpoints)
	if err != nil {
		return nil, err
	}
	return audit.File(path, dir)
}

// audited is what the API asks of the audit; nil where there is none.
func (n *Node) audited() api.Audit {
	if n.audit == nil {
		return nil // and not an *audit.Keeper that is nil
	}
	return n.audit
}

// AuditOf says what is verified, and by what.
type AuditOf struct {
	Still       wire.Checkpoint     // the data directory, while it holds still; nothing in it is changed
	Kafka       *config.Kafka       // the log, where Still has none
	Environment func(string) string // as Options.Environment
	Verify      audit.VerifyOptions // without its Log and Dir
}

// VerifyAudit compares the log of a data directory with what was signed of it.
func VerifyAudit(ctx context.Context, o AuditOf) (report *wire.AuditReport, err error) {
	o.Verify.Dir = filepath.Join(o.Still.Data, auditDir)
	log, err := o.open()
	var damaged *disk.DamagedError
	if errors.As(err, &damaged) {
		return audit.Unreadable(o.Verify, damaged.File, err)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	o.Verify.Log = log
	return audit.Verify(ctx, o.Verify)
}

func (o *AuditOf) open() (eventlog.Log, error) {
	quiet := slog.New(slog.DiscardHandler)
	switch {
	case o.Still.Log != "":
		l, err := disk.Open(disk.Options{Dir: o.Still.Log, ReadOnly: true, Log: quiet})
		if err != nil {
			return nil, err // and not a *disk.Log that is nil
		}
		return l, nil
	case o.Kafka != nil:
		n := &Node{config: &config.Node{Data: o.Still.Data}, logger: quiet, getenv: o.Environment}
		return openKafka(n, kafkaUse{cluster: o.Kafka, as: "-verify", flag: "--log"})
	}
	return nil, fault.New(fault.Invalid, "the log of %s is not in it", o.Still.Data).WithHint("name it as the node does: --log kafka://HOST:PORT")
}
