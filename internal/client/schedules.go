package client

import (
	"context"

	"github.com/dalamb/dalamb/internal/wire"
)

// Schedules lists the schedules of all functions.
func (c *Client) Schedules(ctx context.Context) ([]wire.Schedule, error) {
	var out wire.ScheduleList
	err := c.call(ctx, get("v1", "schedules"), &out)
	return out.Schedules, err
}
