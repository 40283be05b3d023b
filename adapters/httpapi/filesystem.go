package httpapi

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/domain"
)

// V1ListFiles lists a directory.
func (s *server) V1ListFiles(ctx context.Context, r oapi.V1ListFilesRequestObject) (oapi.V1ListFilesResponseObject, error) {
	l, err := s.files.List(ctx, valueOr(r.Params.Path, ""), valueOr(r.Params.Limit, 0), valueOr(r.Params.Offset, 0))
	if err != nil {
		return nil, err
	}
	list := oapi.V1ListFiles200JSONResponse{Path: l.Path, Entries: make([]oapi.FileEntry, len(l.Entries)), Total: l.Total}
	for i, e := range l.Entries {
		list.Entries[i] = oapi.FileEntry{
			Name: e.Name, Path: e.Path, Type: oapi.FileEntryType(e.Kind), Size: e.Size, ModifiedAt: e.ModifiedAt.Truncate(time.Microsecond),
		}
	}
	return list, nil
}

// V1ReadFile reads a file.
func (s *server) V1ReadFile(ctx context.Context, r oapi.V1ReadFileRequestObject) (oapi.V1ReadFileResponseObject, error) {
	f, err := s.files.Read(ctx, principalFrom(ctx), r.Body.Path)
	if err != nil {
		return nil, err
	}
	return fileReply{f}, nil
}

// fileReply is a file on its way to a client. It is written piece by piece: as JSON as a whole, a file would be several times in memory.
type fileReply struct{ file domain.File }

// VisitV1ReadFileResponse writes the answer in the form of oapi.FileRead.
func (r fileReply) VisitV1ReadFileResponse(w http.ResponseWriter) error {
	path, err := encode(r.file.Path)
	if err != nil {
		return err
	}
	encoding, write := oapi.Utf8, writeText
	if !r.file.Text() {
		encoding, write = oapi.Base64, writeBase64
	}
	w.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriter(w)
	if _, err := fmt.Fprintf(out, `{"path":%s,"encoding":"%s","size":%d,"content":"`, path, encoding, len(r.file.Content)); err != nil {
		return err
	}
	if err := write(out, r.file.Content); err != nil {
		return err
	}
	if _, err := out.WriteString("\"}\n"); err != nil {
		return err
	}
	return out.Flush()
}

func writeBase64(w io.Writer, content []byte) error {
	encoder := base64.NewEncoder(base64.StdEncoding, w)
	if _, err := encoder.Write(content); err != nil {
		return err
	}
	return encoder.Close()
}

// textPiece is how much text is written at once.
const textPiece = 32 << 10

// writeText writes the inside of a JSON string.
func writeText(w io.Writer, text []byte) error {
	for len(text) > 0 {
		end := min(textPiece, len(text))
		for end < len(text) && !utf8.RuneStart(text[end]) {
			end--
		}
		quoted, err := encode(string(text[:end]))
		if err != nil {
			return err
		}
		if _, err := w.Write(quoted[1 : len(quoted)-1]); err != nil {
			return err
		}
		text = text[end:]
	}
	return nil
}
