package function

// DefaultKeep is how many versions of a function are kept where its manifest does not say it.
const DefaultKeep = 10

const maxKeep = 1000

// Kept is how many versions of the function are kept, the one that says so included. Those that something needs are kept beside them.
func (s *Spec) Kept() int {
	if s.Keep == 0 {
		return DefaultKeep
	}
	return s.Keep
}

func (c *checker) keep(n int) {
	if n != 0 {
		between(c.at("keep"), n, 1, maxKeep)
	}
}

// keepNone refuses a zero that was written: in a Spec it stands for the default.
func (p *parser) keepNone(d *Declared) {
	if d.Spec.Keep == 0 && p.given("keep") {
		p.reportAt("keep", "0 is out of range", "from 1 to 1000")
	}
}
