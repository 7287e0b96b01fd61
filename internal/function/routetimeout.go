package function

import "time"

// RouteTimeout bounds how long a client of a route waits. What a function has begun goes on, up to Spec.Timeout. Zero values mean no bound here.
type RouteTimeout struct {
	Connect   Duration `json:"connect,omitempty"`   // until an instance takes an attempt
	FirstByte Duration `json:"firstByte,omitempty"` // until an attempt's answer begins, Connect included
	Total     Duration `json:"total,omitempty"`     // until the answer has come whole, all attempts included
}

// maxRouteTime is the longest that a function may run, too.
const maxRouteTime = Duration(24 * time.Hour)

func routeTimeoutValue() value[RouteTimeout] {
	return object(nil,
		field("connect", "Until an instance takes the request. Default: as long as the node lets a call wait, 30s.", duration(), func(t *RouteTimeout) *Duration { return &t.Connect }),
		field("firstByte", "Until the answer begins, connect included; of each attempt. Default: no bound but the function's timeout.", duration(), func(t *RouteTimeout) *Duration { return &t.FirstByte }),
		field("total", "Until the answer has come whole, all attempts and the waits between them included. Default: no bound.", duration(), func(t *RouteTimeout) *Duration { return &t.Total }),
	)
}

func (c *checker) routeTimeout(at string, t *RouteTimeout) {
	if t == nil {
		return
	}
	if *t == (RouteTimeout{}) {
		c.add(at, "such as {firstByte: 2s, total: 10s}", "names no time")
	}
	before := Duration(0)
	for _, f := range []struct {
		name string
		time Duration
	}{{"connect", t.Connect}, {"firstByte", t.FirstByte}, {"total", t.Total}} {
		if f.time == 0 {
			continue
		}
		between(c.at(at+"."+f.name), f.time, Duration(time.Millisecond), maxRouteTime)
		if f.time < before {
			c.add(at+"."+f.name, "connect is part of firstByte, and that of total", "is over before the time ahead of it, %s", before)
		}
		before = f.time
	}
}
