package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"time"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
	"gaia/domain"
)

const (
	formOverhead  = 1 << 20  // bytes that a form may have beside its file
	maxFormField  = 64 << 10 // bytes of a text
	maxFormFields = 50
	fileField     = "file"
)

// V1UploadAsset makes a file an asset. The file goes to the storage as it comes, wherever in the form it stands.
func (s *server) V1UploadAsset(ctx context.Context, r oapi.V1UploadAssetRequestObject) (oapi.V1UploadAssetResponseObject, error) {
	upload := s.assets.BeginUpload(principalFrom(ctx))
	defer upload.Close(ctx)
	if body, ok := ctx.Value(formKey{}).(*formBody); ok {
		body.until = time.Now().Add(s.assets.UploadTime())
	}
	fields, err := s.readForm(ctx, upload, r.Body)
	if err != nil {
		return nil, uploadRefused(err)
	}
	draft, err := s.assetDraft(fields)
	if err != nil {
		return nil, err
	}
	asset, err := upload.Finish(ctx, draft)
	if err != nil {
		return nil, uploadRefused(err)
	}
	data, err := s.assetDataToAPI(ctx, asset)
	if err != nil {
		return nil, err
	}
	return oapi.V1UploadAsset200JSONResponse{
		AssetId: asset.ID, UploadUrl: data.DownloadUrl, PreviewUrl: data.PreviewImageUrl, Status: oapi.Uploaded,
		Message: "The asset was uploaded.", CreatedAt: timestamp(asset.CreatedAt),
	}, nil
}

// readForm reads the parts of a form. Fields that are wrong end it before the file is read, if they come first.
func (s *server) readForm(ctx context.Context, upload *app.AssetUpload, form *multipart.Reader) (map[string]string, error) {
	fields := map[string]string{}
	for range maxFormFields {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return fields, nil
		}
		if err != nil {
			return nil, brokenForm(err)
		}
		name := part.FormName()
		if !s.uploadForm.Field(name) { // means nothing here, and the next part begins behind it
			continue
		}
		if name != fileField {
			if fields[name], err = readField(part); err != nil {
				return nil, err
			}
			continue
		}
		if upload.Received() {
			return nil, domain.InvalidInput(domain.Fault{
				Type: "value_error", Loc: []any{"body", fileField}, Msg: "Value error, the form has more than one file",
			})
		}
		fields[fileField] = ""
		if err := s.checkSoFar(fields); err != nil {
			return nil, err
		}
		err = receiveFile(ctx, upload, part)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = brokenForm(err) // the form ends in the middle of the file
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, domain.NewError(domain.TooLarge, fmt.Sprintf("The form has more than %d fields", maxFormFields))
}

// receiveFile takes the file, whose bytes do not count as the form's own.
func receiveFile(ctx context.Context, upload *app.AssetUpload, file io.Reader) error {
	if body, ok := ctx.Value(formKey{}).(*formBody); ok {
		body.inFile = true
		defer func() { body.inFile = false }()
	}
	return upload.Receive(ctx, file)
}

func readField(part io.Reader) (string, error) {
	value, err := io.ReadAll(io.LimitReader(part, maxFormField+1))
	if err != nil {
		return "", brokenForm(err)
	}
	if len(value) > maxFormField {
		return "", domain.NewError(domain.TooLarge, fmt.Sprintf("A field of the form is larger than %d bytes", maxFormField))
	}
	return string(value), nil
}

// brokenForm says what is wrong with a form that can't be read; what the body says about itself is said already.
func brokenForm(err error) error {
	var edge *edgeError
	var own *domain.Error
	if errors.As(err, &edge) || errors.As(err, &own) || domain.KindOf(err) == domain.Canceled {
		return err
	}
	return &domain.Error{
		Kind: domain.Invalid, Cause: err,
		Faults: []domain.Fault{{Type: "value_error", Loc: []any{"body"}, Msg: "Value error, the form can't be read"}},
	}
}

// checkSoFar judges the fields that came before the file. What is missing may come after it.
func (s *server) checkSoFar(fields map[string]string) error {
	_, faults := s.uploadForm.CheckForm(fields)
	var wrong []domain.Fault
	for _, f := range faults {
		if f.Type != "missing" {
			wrong = append(wrong, f)
		}
	}
	if len(wrong) > 0 {
		return domain.InvalidInput(wrong...)
	}
	return nil
}

// assetDraft reads all fields of a form.
func (s *server) assetDraft(fields map[string]string) (domain.AssetDraft, error) {
	data, faults := s.uploadForm.CheckForm(fields)
	if len(faults) > 0 {
		return domain.AssetDraft{}, domain.InvalidInput(faults...)
	}
	var form struct {
		Title               string               `json:"title"`
		Description         string               `json:"description"`
		Category            domain.AssetCategory `json:"category"`
		StyleTags           string               `json:"style_tags"`
		LicenseType         domain.AssetLicense  `json:"license_type"`
		AttributionRequired bool                 `json:"attribution_required"`
	}
	if err := json.Unmarshal(data, &form); err != nil {
		return domain.AssetDraft{}, fmt.Errorf("read a form: %w", err)
	}
	tags, err := domain.ParseStyleTags(form.StyleTags)
	return domain.AssetDraft{
		Title: form.Title, Description: form.Description, Category: form.Category, StyleTags: tags, License: form.LicenseType,
		AttributionRequired: form.AttributionRequired,
	}, err
}

// uploadRefused answers files of a wrong kind with the status that is meant for that.
func uploadRefused(err error) error {
	var e *domain.Error
	if errors.As(err, &e) && e.Code == domain.CodeFileType {
		return &edgeError{http.StatusUnsupportedMediaType, "unsupported_media_type", e.Message}
	}
	return err
}

type formKey struct{}

// formBody bounds what a form has beside its file: the reader of forms keeps the head of each part in memory, names and all.
type formBody struct {
	io.ReadCloser

	spare  int64     // bytes that may still come beside the file
	until  time.Time // when all of it must have come; zero: nobody has said
	inFile bool
}

func (b *formBody) Read(p []byte) (int, error) {
	if !b.until.IsZero() && time.Now().After(b.until) { // each read has a limit, but there can be very many
		return 0, errTooSlow
	}
	if b.inFile {
		return b.ReadCloser.Read(p)
	}
	if b.spare <= 0 {
		return 0, domain.NewError(domain.TooLarge, fmt.Sprintf("The form has more than %d bytes beside its file", formOverhead))
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.spare)])
	b.spare -= int64(n)
	return n, err
}

// steadyBody gives a body time as long as it goes on arriving, and says in words of this API why it ended early.
type steadyBody struct {
	io.ReadCloser

	connection *http.ResponseController
	timeout    time.Duration
}

func (b *steadyBody) Read(p []byte) (int, error) {
	_ = b.connection.SetReadDeadline(time.Now().Add(b.timeout)) // a recorder in a test has none
	n, err := b.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		// The server watches the connection from here on: a deadline would look to it like a client who left.
		_ = b.connection.SetReadDeadline(time.Time{})
		return n, err
	case err != nil:
		return n, bodyFailure(err)
	default:
		return n, nil
	}
}

// bodyFailure says why a body could not be read.
func bodyFailure(err error) error {
	var tooLarge *http.MaxBytesError
	var network net.Error
	switch {
	case errors.As(err, &tooLarge):
		return errBodyTooLarge(tooLarge.Limit)
	case errors.As(err, &network) && network.Timeout():
		return errTooSlow
	default:
		return errCutShort
	}
}
