package declare

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/function"
)

func TestUnstartableIsToldOfFilesAsTheyArePacked(t *testing.T) {
	const says = `"main.py", which is not in the code`
	for name, c := range map[string]struct {
		files map[string]string
		built bool
		want  bool
	}{
		"there":          {files: map[string]string{"main.py": ""}},
		"not there":      {files: map[string]string{"other.py": ""}, want: true},
		"left out":       {files: map[string]string{"main.py": "", ".dalambignore": "*.py\n"}, want: true},
		"not there, yet": {files: map[string]string{"other.py": ""}, built: true},
	} {
		f := Function{Spec: parse(t, "name: pay\nentry: {type: stdio, command: [python3, main.py]}\n"), Dir: filepath.Clean(directory(t, c.files))}
		if c.built {
			f.Build = &function.Build{}
		}
		got := f.unstartable(nil)
		if (len(got) == 1 && strings.Contains(got[0], says)) != c.want || len(got) > 1 {
			t.Errorf("%s: unstartable = %q", name, got)
		}
		if again := f.unstartable(got); len(again) != 0 {
			t.Errorf("%s: said again: %q", name, again)
		}
	}
}
