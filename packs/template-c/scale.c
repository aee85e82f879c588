/* A kernel of ABI 1: y = x * scale. */

typedef struct {
  unsigned input_a, input_a_bytes, input_b, input_b_bytes, output, output_bytes, scratch, scratch_bytes, params, params_bytes;
} descriptor;

__attribute__((export_name("kernel_forward"))) int kernel_forward(const descriptor *d) {
  const float *x = (const float *)d->input_a;
  float *y = (float *)d->output;
  float scale = *(const float *)d->params;
  unsigned n = d->input_a_bytes / sizeof(float);
  if (d->output_bytes != d->input_a_bytes) return 1; /* INVALID_INPUT */
  for (unsigned i = 0; i < n; i++) y[i] = x[i] * scale;
  return 0;
}
