/* Makes the FANN golden fixtures: networks of every kind, saved by the real C library,
 * with inputs and the outputs that the library computes for them.
 *
 * Compiled three times, against libfloatfann (-DGOLDEN_FLOAT), libdoublefann (-DGOLDEN_DOUBLE)
 * and libfixedfann (-DGOLDEN_FIXED). See README.md for the commands.
 *
 * Everything is reproducible: the library seeds rand() from /dev/urandom when it creates a net,
 * so fann_seed_rand is replaced below and rand() is seeded here instead.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(GOLDEN_FLOAT)
#include <floatfann.h>
#define BUILD "float"
#define READ "%f"
#elif defined(GOLDEN_DOUBLE)
#include <doublefann.h>
#define BUILD "double"
#define READ "%lf"
#else
#include <fixedfann.h>
#define BUILD "fixed"
#endif

void fann_seed_rand(void) { }

static const char *out_dir;
static FILE *cases;
static int case_count;

static void fail(const char *what, const char *name)
{
	fprintf(stderr, "generate: %s: %s\n", what, name);
	exit(1);
}

static char *in_dir(const char *name)
{
	static char path[4][4096];
	static int turn;
	char *p = path[turn++ & 3];
	snprintf(p, 4096, "%s/%s", out_dir, name);
	return p;
}

/* our own generator, so that inputs do not depend on the C library's rand() */
static unsigned long long noise_state = 0x9e3779b97f4a7c15ull;
static double noise(double lo, double hi)
{
	noise_state = noise_state * 6364136223846793005ull + 1442695040888963407ull;
	return lo + (hi - lo) * ((noise_state >> 11) / 9007199254740992.0);
}

static void begin_cases(const char *name)
{
	cases = fopen(in_dir(name), "w");
	if (!cases) fail("cannot write", name);
	fprintf(cases, "[");
	case_count = 0;
}

static void end_cases(void)
{
	fprintf(cases, "\n]\n");
	fclose(cases);
}

static void print_row(const fann_type *row, unsigned int n)
{
	fprintf(cases, "[");
	for (unsigned int i = 0; i < n; i++)
#if defined(GOLDEN_FIXED)
		fprintf(cases, "%s%d", i ? "," : "", row[i]);
#elif defined(GOLDEN_FLOAT)
		fprintf(cases, "%s%.9g", i ? "," : "", row[i]);
#else
		fprintf(cases, "%s%.17g", i ? "," : "", row[i]);
#endif
	fprintf(cases, "]");
}

static void open_case(const char *net)
{
	fprintf(cases, "%s\n{\"net\":\"%s\",\"build\":\"%s\"", case_count++ ? "," : "", net, BUILD);
}

/* saving what was loaded must give the same bytes */
static void check_resaved(struct fann *ann, const char *name)
{
	char command[9000];
	fann_save(ann, in_dir("resaved.tmp"));
	snprintf(command, sizeof command, "cmp '%s' '%s'", in_dir(name), in_dir("resaved.tmp"));
	if (system(command) != 0) fail("the library saves it differently", name);
	remove(in_dir("resaved.tmp"));
}

#if !defined(GOLDEN_FIXED)

/* how a case is evaluated */
enum how { RAW, SCALED };

static void write_outputs(struct fann *ann, const char *key, fann_type *x, unsigned int rows, enum how how)
{
	unsigned int n_in = fann_get_num_input(ann), n_out = fann_get_num_output(ann);
	fann_type *in = malloc(sizeof(fann_type) * (n_in + n_out));
	fprintf(cases, ",\"%s\":[", key);
	for (unsigned int r = 0; r < rows; r++) {
		memcpy(in, x + r * n_in, sizeof(fann_type) * n_in);
		if (how == SCALED) fann_scale_input(ann, in);
		fann_type *y = fann_run(ann, in);
		if (how == SCALED) fann_descale_output(ann, y);
		if (r) fprintf(cases, ",");
		print_row(y, n_out);
	}
	fprintf(cases, "]");
	free(in);
}

/* small, ordinary and large inputs in turn: curved, straight and flat parts of the activation functions */
static fann_type *random_rows(unsigned int rows, unsigned int n, double span)
{
	static const double factor[3] = { 0.25, 1.0, 12.0 };
	fann_type *x = malloc(sizeof(fann_type) * rows * n);
	for (unsigned int i = 0; i < rows * n; i++) x[i] = (fann_type)noise(-span * factor[i / n % 3], span * factor[i / n % 3]);
	return x;
}

static void write_inputs(fann_type *x, unsigned int rows, unsigned int n)
{
	fprintf(cases, ",\"inputs\":[");
	for (unsigned int r = 0; r < rows; r++) {
		if (r) fprintf(cases, ",");
		print_row(x + r * n, n);
	}
	fprintf(cases, "]");
}

/* Saves the net, loads it again and records what the loaded net computes. */
static void record(struct fann *ann, const char *name, double span, enum how how)
{
	const unsigned int rows = 12;
	if (ann && fann_save(ann, in_dir(name)) != 0) fail("cannot save", name);
	struct fann *back = fann_create_from_file(in_dir(name));
	if (!back) fail("cannot load", name);
	unsigned int n_in = fann_get_num_input(back);
	fann_type *x = random_rows(rows, n_in, span);
	/* raw inputs of a scaled net must be like its data, or the hidden neurons only saturate */
	for (unsigned int i = 0; how == SCALED && i < rows * n_in; i++)
		x[i] = back->scale_mean_in[i % n_in] + back->scale_deviation_in[i % n_in] * x[i];
	open_case(name);
	write_inputs(x, rows, n_in);
	write_outputs(back, "outputs", x, rows, RAW);
	if (how == SCALED) write_outputs(back, "scaled_outputs", x, rows, SCALED);
	fprintf(cases, "}");
	free(x);
	fann_destroy(back);
}

static struct fann *fresh(struct fann *ann, unsigned int seed, double span)
{
	if (!ann) fail("cannot create", "net");
	srand(seed);
	fann_randomize_weights(ann, (fann_type)-span, (fann_type)span);
	return ann;
}

static struct fann *standard(unsigned int seed, double span, unsigned int layers, ...)
{
	unsigned int size[8];
	va_list ap;
	va_start(ap, layers);
	for (unsigned int i = 0; i < layers; i++) size[i] = va_arg(ap, unsigned int);
	va_end(ap);
	return fresh(fann_create_standard_array(layers, size), seed, span);
}

#if defined(GOLDEN_FLOAT)
/* every activation function with a different steepness in each layer */
static void activations(void)
{
	for (unsigned int f = 0; f <= FANN_COS; f++) {
		char name[64];
		struct fann *ann = standard(100 + f, 1.5, 3, 4, 5, 3);
		fann_set_activation_function_hidden(ann, f);
		fann_set_activation_function_output(ann, f);
		fann_set_activation_steepness_hidden(ann, (fann_type)0.37);
		fann_set_activation_steepness_output(ann, (fann_type)0.81);
		snprintf(name, sizeof name, BUILD "-activation-%02u.net", f);
		record(ann, name, 2.0, RAW);
		fann_destroy(ann);
	}
}
#endif

/* all eighteen activation functions in one net */
static void mixed(void)
{
	struct fann *ann = standard(7, 1.0, 4, 3, 6, 5, 4);
	for (int layer = 1; layer <= 3; layer++)
		for (int n = 0; n < 7 - layer; n++) {
			fann_set_activation_function(ann, (enum fann_activationfunc_enum)((layer * 6 + n) % 18), layer, n);
			fann_set_activation_steepness(ann, (fann_type)(0.1 + 0.3 * n), layer, n);
		}
	record(ann, BUILD "-mixed.net", 1.0, RAW);
	fann_destroy(ann);

	/* sums beyond the library's cap of 150/steepness, on both sides */
	ann = standard(8, 400.0, 3, 3, 6, 3);
	fann_set_activation_function_hidden(ann, FANN_ELLIOT_SYMMETRIC);
	fann_set_activation_function_output(ann, FANN_LINEAR);
	fann_set_activation_steepness_hidden(ann, (fann_type)0.9);
	fann_set_activation_steepness_output(ann, (fann_type)3.0);
	record(ann, BUILD "-capped.net", 30.0, RAW);
	fann_destroy(ann);
}

static void sparse(void)
{
	unsigned int size[4] = { 6, 9, 7, 3 };
	srand(21);
	struct fann *ann = fresh(fann_create_sparse_array(0.5f, 4, size), 22, 1.0);
	fann_set_activation_function_hidden(ann, FANN_SIGMOID_SYMMETRIC);
	fann_set_activation_function_output(ann, FANN_SIGMOID);
	record(ann, BUILD "-sparse-50.net", 1.0, RAW);
	fann_destroy(ann);
	srand(23);
	ann = fresh(fann_create_sparse_array(0.2f, 4, size), 24, 1.0);
	fann_set_activation_function_hidden(ann, FANN_ELLIOT);
	fann_set_activation_function_output(ann, FANN_LINEAR);
	record(ann, BUILD "-sparse-20.net", 1.0, RAW);
	fann_destroy(ann);
}

static void shortcut(void)
{
	unsigned int size[4] = { 4, 5, 3, 2 };
	struct fann *ann = fresh(fann_create_shortcut_array(4, size), 31, 1.0);
	fann_set_activation_function_hidden(ann, FANN_SIGMOID_SYMMETRIC);
	fann_set_activation_function_output(ann, FANN_GAUSSIAN);
	record(ann, BUILD "-shortcut.net", 1.0, RAW);
	fann_destroy(ann);
}

/* Grown by cascade training. The two-spiral net ends with weights at the library's limit of 1500, where the float build's own rounding
 * errors reach 1e-3; the parity net, with tamer candidates, stays well conditioned. */
static void cascade(const char *data_dir, const char *set, const char *kind, unsigned int inputs, unsigned int neurons, int tame)
{
	char path[4096], name[128];
	snprintf(path, sizeof path, "%s/%s.train", data_dir, set);
	struct fann_train_data *data = fann_read_train_from_file(path);
	if (!data) fail("cannot read", path);
	srand(41);
	struct fann *ann = fann_create_shortcut(2, inputs, 1);
	fann_set_training_algorithm(ann, FANN_TRAIN_RPROP);
	fann_set_activation_function_hidden(ann, FANN_SIGMOID_SYMMETRIC);
	fann_set_activation_function_output(ann, FANN_LINEAR);
	if (tame) {
		enum fann_activationfunc_enum functions[2] = { FANN_SIGMOID_SYMMETRIC, FANN_ELLIOT_SYMMETRIC };
		fann_set_cascade_activation_functions(ann, functions, 2);
		fann_set_rprop_delta_max(ann, 0.5f);
		fann_set_cascade_max_cand_epochs(ann, 40);
		fann_set_cascade_max_out_epochs(ann, 40);
	}
	fann_cascadetrain_on_data(ann, data, neurons, 0, 0.001f);
	snprintf(name, sizeof name, BUILD "-cascade-%s.net", kind);
	record(ann, name, 1.0, RAW);
	fann_destroy(ann);
	fann_destroy_train(data);
}

static void scaled(const char *data_dir)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/scaling.data", data_dir);
	struct fann_train_data *data = fann_read_train_from_file(path);
	if (!data) fail("cannot read", path);
	struct fann *ann = standard(51, 0.5, 3, fann_num_input_train_data(data), 4u, fann_num_output_train_data(data));
	fann_set_activation_function_hidden(ann, FANN_SIGMOID_SYMMETRIC);
	fann_set_activation_function_output(ann, FANN_LINEAR);
	fann_set_scaling_params(ann, data, -1, 1, -0.8f, 0.9f);
	record(ann, BUILD "-scaled.net", 1.0, SCALED);
	fann_destroy(ann);
	fann_destroy_train(data);
}

/* every training parameter moved away from its default */
static void parameters(void)
{
	enum fann_activationfunc_enum functions[3] = { FANN_ELLIOT, FANN_COS, FANN_GAUSSIAN };
	fann_type steepnesses[2] = { (fann_type)0.3, (fann_type)0.9 };
	struct fann *ann = standard(61, 1.0, 3, 2, 3, 1);
	fann_set_learning_rate(ann, 0.123f);
	fann_set_learning_momentum(ann, 0.31f);
	fann_set_training_algorithm(ann, FANN_TRAIN_QUICKPROP);
	fann_set_train_error_function(ann, FANN_ERRORFUNC_LINEAR);
	fann_set_train_stop_function(ann, FANN_STOPFUNC_BIT);
	fann_set_bit_fail_limit(ann, (fann_type)0.21);
	fann_set_quickprop_decay(ann, -0.0003f);
	fann_set_quickprop_mu(ann, 1.6f);
	fann_set_rprop_increase_factor(ann, 1.33f);
	fann_set_rprop_decrease_factor(ann, 0.44f);
	fann_set_rprop_delta_min(ann, 0.000002f);
	fann_set_rprop_delta_max(ann, 42.0f);
	fann_set_rprop_delta_zero(ann, 0.2f);
	fann_set_cascade_output_change_fraction(ann, 0.02f);
	fann_set_cascade_output_stagnation_epochs(ann, 13);
	fann_set_cascade_candidate_change_fraction(ann, 0.03f);
	fann_set_cascade_candidate_stagnation_epochs(ann, 14);
	fann_set_cascade_candidate_limit(ann, (fann_type)900.5);
	fann_set_cascade_weight_multiplier(ann, (fann_type)0.45);
	fann_set_cascade_max_out_epochs(ann, 151);
	fann_set_cascade_min_out_epochs(ann, 51);
	fann_set_cascade_max_cand_epochs(ann, 152);
	fann_set_cascade_min_cand_epochs(ann, 52);
	fann_set_cascade_num_candidate_groups(ann, 3);
	fann_set_cascade_activation_functions(ann, functions, 3);
	fann_set_cascade_activation_steepnesses(ann, steepnesses, 2);
	record(ann, BUILD "-parameters.net", 1.0, RAW);
	fann_destroy(ann);
}

#if defined(GOLDEN_FLOAT)

/* A 2.0 file: the same text without the line about scaling, which 2.1 added. */
static void version_2_0(void)
{
	char line[65536];
	FILE *in = fopen(in_dir("float-activation-05.net"), "r");
	FILE *out = fopen(in_dir("float-version-2.0.net"), "w");
	if (!in || !out) fail("cannot make", "float-version-2.0.net");
	while (fgets(line, sizeof line, in)) {
		if (!strncmp(line, "FANN_FLO_2.1", 12)) strcpy(line, "FANN_FLO_2.0\n");
		if (strncmp(line, "scale_included", 14)) fputs(line, out);
	}
	fclose(in);
	fclose(out);
	record(NULL, "float-version-2.0.net", 1.0, RAW);
}

/* What a fixed-point file means when its integers are read as integer / 2^decimal_point:
 * the float net with its weights and steepnesses rounded to that grid. */
static void round_to_grid(struct fann *ann, int decimal_point)
{
	unsigned int n = fann_get_total_connections(ann);
	struct fann_connection *c = malloc(sizeof *c * n);
	double m = (double)(1 << decimal_point);
	fann_get_connection_array(ann, c);
	for (unsigned int i = 0; i < n; i++) c[i].weight = (fann_type)(floor(c[i].weight * m + 0.5) / m);
	fann_set_weight_array(ann, c, n);
	free(c);
	for (struct fann_neuron *it = ann->first_layer->first_neuron; it != (ann->last_layer - 1)->last_neuron; it++)
		it->activation_steepness = (fann_type)(floor(it->activation_steepness * m + 0.5) / m);
}

static void fixed_case(struct fann *ann, const char *name)
{
	const unsigned int rows = 8;
	int decimal_point = fann_save_to_fixed(ann, in_dir(name));
	round_to_grid(ann, decimal_point);
	unsigned int n_in = fann_get_num_input(ann);
	fann_type *x = random_rows(rows, n_in, 1.0);
	double m = (double)(1 << decimal_point);
	for (unsigned int i = 0; i < rows * n_in; i++) x[i] = (fann_type)(floor(x[i] * m + 0.5) / m);
	open_case(name);
	write_inputs(x, rows, n_in);
	write_outputs(ann, "outputs", x, rows, RAW);
	fprintf(cases, "}");
	free(x);
	fann_destroy(ann);
}

static void fixed(void)
{
	unsigned int size[3] = { 5, 6, 2 };
	struct fann *ann = standard(71, 1.2, 3, 3, 4, 2);
	fann_set_activation_function_hidden(ann, FANN_SIGMOID_SYMMETRIC);
	fann_set_activation_function_output(ann, FANN_SIGMOID);
	fann_save(ann, in_dir("float-before-fixed-sigmoid.net"));
	fixed_case(ann, "fixed-sigmoid.net");
	ann = standard(72, 1.2, 3, 3, 4, 2);
	fann_set_activation_function_hidden(ann, FANN_SIGMOID_SYMMETRIC_STEPWISE);
	fann_set_activation_function_output(ann, FANN_SIGMOID_STEPWISE);
	fixed_case(ann, "fixed-stepwise.net");
	/* a steepness of 1 here: libfixedfann ignores the steepness of the piecewise linear functions */
	ann = standard(73, 0.8, 3, 3, 4, 2);
	fann_set_activation_function_hidden(ann, FANN_LINEAR_PIECE_SYMMETRIC);
	fann_set_activation_function_output(ann, FANN_LINEAR_PIECE);
	fann_set_activation_steepness_hidden(ann, 1.0f);
	fann_set_activation_steepness_output(ann, 1.0f);
	fixed_case(ann, "fixed-linear-piece.net");
	ann = fresh(fann_create_shortcut_array(3, size), 74, 0.7);
	fann_set_activation_function_hidden(ann, FANN_SIGMOID_SYMMETRIC_STEPWISE);
	fann_set_activation_function_output(ann, FANN_SIGMOID_SYMMETRIC_STEPWISE);
	fixed_case(ann, "fixed-shortcut.net");
	srand(75);
	ann = fresh(fann_create_sparse_array(0.5f, 3, size), 76, 0.9);
	fann_set_activation_function_hidden(ann, FANN_SIGMOID_STEPWISE);
	fann_set_activation_function_output(ann, FANN_SIGMOID_SYMMETRIC_STEPWISE);
	fixed_case(ann, "fixed-sparse.net");
}

/* ---- training curves ---- */

struct variant {
	const char *name;
	enum fann_train_enum algorithm;
	enum fann_errorfunc_enum error;
	float momentum;
};
static const struct variant variants[] = {
	{ "rprop", FANN_TRAIN_RPROP, FANN_ERRORFUNC_TANH, 0.0f },
	{ "quickprop", FANN_TRAIN_QUICKPROP, FANN_ERRORFUNC_TANH, 0.0f },
	{ "batch", FANN_TRAIN_BATCH, FANN_ERRORFUNC_TANH, 0.0f },
	{ "incremental", FANN_TRAIN_INCREMENTAL, FANN_ERRORFUNC_TANH, 0.0f },
	{ "rprop_linear_error", FANN_TRAIN_RPROP, FANN_ERRORFUNC_LINEAR, 0.0f },
	{ "quickprop_linear_error", FANN_TRAIN_QUICKPROP, FANN_ERRORFUNC_LINEAR, 0.0f },
	{ "incremental_momentum", FANN_TRAIN_INCREMENTAL, FANN_ERRORFUNC_TANH, 0.3f },
};
#define VARIANTS (sizeof variants / sizeof variants[0])
#define EPOCHS 20

static void curve(const char *name, const char *path, unsigned int hidden, double span,
	enum fann_activationfunc_enum act_hidden, enum fann_activationfunc_enum act_output)
{
	char net[256], csv[256];
	float mse[VARIANTS][EPOCHS];
	struct fann_train_data *data = fann_read_train_from_file(path);
	if (!data) fail("cannot read", path);
	snprintf(net, sizeof net, "curve-%s.net", name);
	snprintf(csv, sizeof csv, "curve-%s.csv", name);
	struct fann *ann = standard(81, span, 3, fann_num_input_train_data(data), hidden, fann_num_output_train_data(data));
	fann_set_activation_function_hidden(ann, act_hidden);
	fann_set_activation_function_output(ann, act_output);
	fann_save(ann, in_dir(net));
	fann_destroy(ann);
	for (unsigned int v = 0; v < VARIANTS; v++) {
		ann = fann_create_from_file(in_dir(net));
		fann_set_training_algorithm(ann, variants[v].algorithm);
		fann_set_train_error_function(ann, variants[v].error);
		fann_set_learning_momentum(ann, variants[v].momentum);
		for (int e = 0; e < EPOCHS; e++) mse[v][e] = fann_train_epoch(ann, data);
		fann_destroy(ann);
	}
	FILE *out = fopen(in_dir(csv), "w");
	fprintf(out, "epoch");
	for (unsigned int v = 0; v < VARIANTS; v++) fprintf(out, ",%s", variants[v].name);
	for (int e = 0; e < EPOCHS; e++) {
		fprintf(out, "\n%d", e + 1);
		for (unsigned int v = 0; v < VARIANTS; v++) fprintf(out, ",%.9g", mse[v][e]);
	}
	fprintf(out, "\n");
	fclose(out);
	fann_destroy_train(data);
}

static void curves(const char *data_dir)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/xor.data", data_dir);
	curve("xor", path, 3, 0.5, FANN_SIGMOID_SYMMETRIC, FANN_SIGMOID_SYMMETRIC);
	snprintf(path, sizeof path, "%s/thyroid.train", data_dir);
	curve("thyroid", path, 32, 0.1, FANN_SIGMOID_SYMMETRIC, FANN_SIGMOID);
	snprintf(path, sizeof path, "%s/robot.train", data_dir);
	curve("robot", path, 32, 0.1, FANN_SIGMOID_SYMMETRIC, FANN_SIGMOID);
}
#endif

/* Networks that our writer made: the library must read them, and its save must give the same text. */
static void foreign(int count, char **names)
{
	begin_cases("cases-written-" BUILD ".json");
	for (int i = 0; i < count; i++) {
		if (strncmp(names[i], "written-" BUILD, strlen("written-" BUILD))) continue;
		record(NULL, names[i], 1.0, RAW);
		struct fann *ann = fann_create_from_file(in_dir(names[i]));
		check_resaved(ann, names[i]);
		fann_destroy(ann);
	}
	end_cases();
}

int main(int argc, char **argv)
{
	if (argc < 3) fail("usage: generate-" BUILD " OUT_DIR DATA_DIR | OUT_DIR --check NAME...", "too few arguments");
	out_dir = argv[1];
	if (!strcmp(argv[2], "--check")) {
		foreign(argc - 3, argv + 3);
		return 0;
	}
	begin_cases("cases-" BUILD ".json");
#if defined(GOLDEN_FLOAT)
	activations();
#endif
	mixed();
	sparse();
	shortcut();
	cascade(argv[2], "two-spiral", "two-spiral", 2, 16, 0);
	cascade(argv[2], "parity8", "parity", 8, 10, 1);
	scaled(argv[2]);
	parameters();
#if defined(GOLDEN_FLOAT)
	version_2_0();
	fixed();
#endif
	end_cases();
#if defined(GOLDEN_FLOAT)
	curves(argv[2]);
#endif
	return 0;
}

#else /* GOLDEN_FIXED */

/* What the integer library itself computes from the files that the float build saved, in units of 1/2^decimal_point.
 * Saved again by the integer library they are the same bytes, which is checked. */
int main(int argc, char **argv)
{
	const char *names[] = { "fixed-sigmoid", "fixed-stepwise", "fixed-linear-piece", "fixed-shortcut", "fixed-sparse" };
	const unsigned int rows = 8;
	(void)argc;
	out_dir = argv[1];
	begin_cases("cases-fixed.json");
	for (unsigned int k = 0; k < 5; k++) {
		char net[128];
		snprintf(net, sizeof net, "%s.net", names[k]);
		struct fann *ann = fann_create_from_file(in_dir(net));
		if (!ann) fail("cannot load", net);
		check_resaved(ann, net);
		unsigned int n_in = fann_get_num_input(ann), n_out = fann_get_num_output(ann);
		double m = fann_get_multiplier(ann);
		fann_type *x = malloc(sizeof(fann_type) * rows * n_in);
		for (unsigned int i = 0; i < rows * n_in; i++) x[i] = (fann_type)floor(noise(-1.0, 1.0) * m + 0.5);
		open_case(net);
		fprintf(cases, ",\"decimal_point\":%u,\"inputs\":[", fann_get_decimal_point(ann));
		for (unsigned int r = 0; r < rows; r++) {
			if (r) fprintf(cases, ",");
			print_row(x + r * n_in, n_in);
		}
		fprintf(cases, "],\"outputs\":[");
		for (unsigned int r = 0; r < rows; r++) {
			if (r) fprintf(cases, ",");
			print_row(fann_run(ann, x + r * n_in), n_out);
		}
		fprintf(cases, "]}");
		free(x);
		fann_destroy(ann);
	}
	end_cases();
	return 0;
}
#endif
