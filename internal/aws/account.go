package aws

import "github.com/dalamb/dalamb/internal/image"

// accountAnswer is AWS's GetAccountSettings.
type accountAnswer struct {
	AccountLimit accountLimit
	AccountUsage accountUsage
}

type accountLimit struct {
	TotalCodeSize                  int64 // bytes; of one function's code, since there is no bound of all
	CodeSizeUnzipped               int64
	CodeSizeZipped                 int64
	ConcurrentExecutions           int // instances of all functions on this node
	UnreservedConcurrentExecutions int // of these, those that no function keeps for itself
}

type accountUsage struct {
	TotalCodeSize int64 // bytes of the code of all versions
	FunctionCount int
}

func (l *Lambda) getAccount(c *call) (any, error) {
	instances := l.o.Instances()
	out := accountAnswer{AccountLimit: accountLimit{
		TotalCodeSize: image.MaxBytes, CodeSizeUnzipped: image.MaxBytes, CodeSizeZipped: maxUpload / 4 * 3,
		ConcurrentExecutions: instances, UnreservedConcurrentExecutions: instances,
	}}
	seen := map[string]bool{}
	for _, f := range l.view(c.ctx()).Functions() {
		out.AccountUsage.FunctionCount++
		out.AccountLimit.UnreservedConcurrentExecutions -= latest(f).Spec.Scale.Reserved
		for _, v := range f.Versions {
			if n, err := l.o.Code.Size(v.Code); err == nil && !seen[v.Code] { // else it is an image, or on another node
				seen[v.Code] = true
				out.AccountUsage.TotalCodeSize += n
			}
		}
	}
	return out, nil
}
