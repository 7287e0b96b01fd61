package inside

// callsPlace is where a function reaches other functions through its node: an address of its own loopback, which no route leads out of. The names
// of the functions are in /etc/hosts, so a function without any network needs no resolver.
func callsPlace() place { return place{80, 80} }

// listenForCalls opens the listener for what the task's function calls; -1 = it calls nothing.
func (t *Task) listenForCalls() (int, error) {
	if len(t.Calls) == 0 {
		return -1, nil
	}
	return listen(callsPlace())
}

// hosts is what /etc/hosts says.
func (t *Task) hosts() string {
	if len(t.Calls) == 0 {
		return hosts
	}
	at := callsPlace()
	lines := hosts
	for _, name := range t.Calls { // each in a line of its own: there are libraries that read short ones only
		lines += "127.0.0." + decimal(int64(at.host)) + " " + name + "\n"
	}
	return lines
}

// nameCalls writes the names into a root that was made before they were known. One of layers has them already.
func (t *Task) nameCalls() error {
	if len(t.Calls) == 0 || len(t.Layers) > 0 {
		return nil
	}
	return writeFile("etc/hosts", t.hosts())
}
