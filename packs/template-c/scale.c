/* A kernel of ABI 1: y = x * scale. */

typedef struct {
  unsigned input_a, input_a_bytes, input_b, input_b_bytes, output, output_bytes, scratch, scratch_bytes, params, params_bytes;
} descriptor;

static int multiply(const float *x, unsigned x_bytes, const descriptor *d) {
  float *y = (float *)d->output;
  float scale = *(const float *)d->params;
  unsigned n = x_bytes / sizeof(float);
  if (d->output_bytes != x_bytes) return 1; /* INVALID_INPUT */
  for (unsigned i = 0; i < n; i++) y[i] = x[i] * scale;
  return 0;
}

__attribute__((export_name("kernel_forward"))) int kernel_forward(const descriptor *d) {
  return multiply((const float *)d->input_a, d->input_a_bytes, d);
}

/* Optional. Gets the inputs and then the gradients of the outputs, gives the gradients of the inputs: dx = dy * scale. */
__attribute__((export_name("kernel_backward"))) int kernel_backward(const descriptor *d) {
  return multiply((const float *)d->input_b, d->input_b_bytes, d);
}

/* Optional. Writes the version of the ABI and the size of its descriptor. */
__attribute__((export_name("kernel_info"))) int kernel_info(unsigned *info) {
  info[0] = 1;
  info[1] = sizeof(descriptor);
  return 0;
}
