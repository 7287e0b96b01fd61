package runner

import (
	"fmt"
	"io"
	"os"
)

// OpenStdin gives the file that the command reads: what Feed is, else what Stdin holds. The runner closes it when the command has it.
func (s *Spec) OpenStdin() (*os.File, error) {
	if s.Feed != nil {
		return s.Feed, nil
	}
	return Stdin(s.Stdin)
}

// fill writes data into f and turns it back to its beginning.
func fill(f *os.File, data []byte) (*os.File, error) {
	if _, err := f.Write(data); err != nil {
		f.Close()
		return nil, fmt.Errorf("write stdin: %w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		f.Close()
		return nil, fmt.Errorf("rewind stdin: %w", err)
	}
	return f, nil
}
