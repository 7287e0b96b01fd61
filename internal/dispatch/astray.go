package dispatch

// againAfter is the n of the pause before a partition is begun anew: most often the member is told in the meantime that it has lost it.
const againAfter = 4

// goAstray ends the actor because its topic is not there, or is another one that was made under the name: all progress on what it knew is
// without meaning.
func (p *partition) goAstray() {
	p.astray = true
	p.lose()
}

// succeed has another actor begin with the partition if this one went astray and the partition is still this node's. Nobody else would: an
// actor can be mistaken about its topic, having asked a broker that had yet to learn of it, and the member then loses nothing.
func (p *partition) succeed(sc scope) {
	if !p.astray {
		return
	}
	d := p.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.dropped || d.partitions[p.id] != p {
		return
	}
	next := newPartition(d, p.id)
	next.again = true
	d.partitions[p.id] = next
	next.start(sc.base)
}
