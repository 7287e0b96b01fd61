package app

import (
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/quota"
	"github.com/dalamb/dalamb/internal/wire"
)

// counted shows the API what environments use of their quotas on this node.
type counted struct {
	*quota.Quotas
	fleet *fleet.Fleet
}

func (c counted) Used() map[string]wire.QuotaUse {
	all := map[string]wire.QuotaUse{}
	for env, held := range c.fleet.Held() {
		all[env] = wire.QuotaUse{Instances: held.Instances, Memory: held.Memory}
	}
	return all
}
