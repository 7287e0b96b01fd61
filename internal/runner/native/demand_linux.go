package native

import "time"

// demand is how many sandboxes were started at a time of late: the most within one second of the last minute. Nearly all that come
// in a burst come within the time in which its first spares are made again, so that is how many have to wait for the next one.
type demand struct {
	seconds [60]second
}

type second struct {
	at     int64 // Unix time
	starts int
}

func (d *demand) note(now time.Time) {
	s := &d.seconds[now.Unix()%int64(len(d.seconds))]
	if s.at != now.Unix() {
		*s = second{at: now.Unix()}
	}
	s.starts++
}

func (d *demand) peak(now time.Time) int {
	most := 0
	for _, s := range d.seconds {
		if now.Unix()-s.at < int64(len(d.seconds)) {
			most = max(most, s.starts)
		}
	}
	return most
}
