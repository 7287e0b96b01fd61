package git

import (
	"context"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// setHead lets HEAD name a branch that is there: a clone checks out what it names.
func (p *push) setHead(ctx context.Context) {
	s := p.server
	heads, err := s.program.output(ctx, "--git-dir="+p.dir, "for-each-ref", "--format=%(refname)", "refs/heads")
	branches := strings.Fields(string(heads))
	if err != nil || len(branches) == 0 {
		return // what is wrong with the repository the next push will tell
	}
	head, err := s.program.output(ctx, "--git-dir="+p.dir, "symbolic-ref", "HEAD")
	if err == nil && !slices.Contains(branches, strings.TrimSpace(string(head))) {
		_, err = s.program.output(ctx, "--git-dir="+p.dir, "symbolic-ref", "HEAD", branches[0])
	}
	if err != nil {
		s.logger.Warn("the HEAD of a repository could not be set", "repository", p.repository, "err", err)
	}
}

// Run keeps repositories small until ctx is done: each push is a pack, and now and then many of them become one.
func (s *Server) Run(ctx context.Context) error {
	for {
		select {
		case name := <-s.dirty:
			done, ok := s.removing()
			if !ok {
				continue // after the next push
			}
			dir, err := s.repositories.find(name)
			if err == nil {
				_, err = s.program.output(ctx, "--git-dir="+dir, "gc", "--auto", "--quiet")
			}
			done()
			if err != nil && ctx.Err() == nil && fault.KindOf(err) != fault.NotFound {
				s.logger.Warn("a repository could not be packed", "repository", name, "err", err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}
