/* Writes the golden values that the tests of mayfly-kernels hold FANN's activations and weight updates against.
 *
 *   cc -O2 -o /tmp/fann_kernels fann_kernels.c -lfloatfann -lm
 *   /tmp/fann_kernels activations > ../../crates/mayfly-kernels/tests/golden/fann_activations.csv
 *   /tmp/fann_kernels updates     > ../../crates/mayfly-kernels/tests/golden/fann_updates.csv
 *   /tmp/fann_kernels errors      > ../../crates/mayfly-kernels/tests/golden/fann_errors.csv
 *
 * Needs Debian's libfann-dev (FANN 2.2.0). The tests read only the files. */
#include <floatfann.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Exported by the library, declared in no header of it that users include. */
fann_type fann_activation_derived(unsigned int act, fann_type steepness, fann_type value, fann_type sum);
void fann_compute_MSE(struct fann *ann, fann_type *desired);
void fann_clear_train_arrays(struct fann *ann);
void fann_update_weights_batch(struct fann *ann, unsigned int rows, unsigned int from, unsigned int to);
void fann_update_weights_quickprop(struct fann *ann, unsigned int rows, unsigned int from, unsigned int to);
void fann_update_weights_irpropm(struct fann *ann, unsigned int from, unsigned int to);
void fann_update_weights_sarprop(struct fann *ann, unsigned int epoch, unsigned int from, unsigned int to);

/* The library's rand(): one known value an epoch, so that SARPROP's noise can be written down. */
static int rand_value = 0;
int rand(void) { return rand_value; }

static unsigned int lcg_state = 12345;
static float uniform(float lo, float hi) {
    lcg_state = lcg_state * 1664525u + 1013904223u;
    return lo + (hi - lo) * ((lcg_state >> 8) * (1.0f / 16777216.0f));
}

static struct fann *one_neuron(void) {
    struct fann *ann = fann_create_standard(2, 1, 1);
    ann->weights[0] = 1;
    ann->weights[1] = 0;
    return ann;
}

static void activations(void) {
    const float steepnesses[] = {0.25f, 0.5f, 1.0f, 1.7f};
    const float extra[] = {-1e6f, -200.0f, -88.25f, -41.5f, 1e-6f, 37.25f, 90.0f, 150.0f, 3e5f};
    struct fann *ann = one_neuron();
    printf("act,steepness,x,value,derivative\n");
    for (unsigned int act = FANN_LINEAR; act <= FANN_COS; act++)
        for (int k = 0; k < 4; k++)
            for (int i = 0; i < 59 + 9; i++) {
                float x = i < 59 ? (i - 29) * 0.25f : extra[i - 59];
                struct fann_neuron *neuron = (ann->last_layer - 1)->first_neuron;
                fann_set_activation_function_output(ann, act);
                fann_set_activation_steepness_output(ann, steepnesses[k]);
                fann_run(ann, &x);
                /* FANN prints an error for FANN_THRESHOLD and answers 0. */
                float derivative = fann_activation_derived(act, steepnesses[k], neuron->value, neuron->sum);
                printf("%u,%.9g,%.9g,%.9g,%.9g\n", act, steepnesses[k], x, neuron->value, derivative);
            }
}

/* The error that fann_compute_MSE puts on an output neuron, without the activation's derivative (a linear neuron's is its steepness). */
static void errors(void) {
    struct fann *ann = one_neuron();
    printf("error,symmetric,pred,target,slope,squared,bit_fail\n");
    fann_set_bit_fail_limit(ann, 0.35f);
    for (int error = FANN_ERRORFUNC_LINEAR; error <= FANN_ERRORFUNC_TANH; error++)
        for (int symmetric = 0; symmetric < 2; symmetric++)
            for (int i = 0; i < 40; i++) {
                float pred = i < 36 ? uniform(-1, 1) : i < 38 ? 1.0f : -1.0f;
                float target = i < 36 ? uniform(-1, 1) : i % 2 ? 1.0f : -1.0f;
                struct fann_neuron *neuron = (ann->last_layer - 1)->first_neuron;
                /* The piecewise linear functions have a constant derivative whatever the value. */
                neuron->activation_function = symmetric ? FANN_LINEAR_PIECE_SYMMETRIC : FANN_LINEAR;
                neuron->activation_steepness = 1.0f;
                neuron->value = pred;
                fann_set_train_error_function(ann, error);
                fann_reset_MSE(ann);
                fann_compute_MSE(ann, &target);
                float slope = ann->train_errors[neuron - ann->first_layer->first_neuron];
                printf("%d,%d,%.9g,%.9g,%.9g,%.9g,%u\n", error, symmetric, pred, target, slope, ann->MSE_value, ann->num_bit_fail);
            }
}

enum { WEIGHTS = 37, EPOCHS = 12, ROWS = 150 };

static void updates(void) {
    const char *names[] = {"batch", "quickprop", "irprop", "sarprop"};
    printf("algorithm,epoch,index,slope,noise,mse,weight,step,prev_slope\n");
    for (int algorithm = 0; algorithm < 4; algorithm++) {
        struct fann *ann = fann_create_standard(2, WEIGHTS - 1, 1);
        fann_set_training_algorithm(ann, algorithm == 2 ? FANN_TRAIN_RPROP : FANN_TRAIN_SARPROP);
        fann_clear_train_arrays(ann);
        for (int i = 0; i < WEIGHTS; i++) {
            /* Two weights near FANN's limit of 1500. */
            ann->weights[i] = i == 5 ? 1499.95f : i == 6 ? -1499.95f : uniform(-0.5f, 0.5f);
            printf("%s,0,%d,0,0,0,%.9g,%.9g,%.9g\n", names[algorithm], i, ann->weights[i], ann->prev_steps[i], ann->prev_train_slopes[i]);
        }
        for (int epoch = 1; epoch <= EPOCHS; epoch++) {
            float slopes[WEIGHTS];
            rand_value = (int)uniform(0, 2e9f);
            ann->MSE_value = uniform(0.05f, 2.0f) * 100;
            ann->num_MSE = 100;
            for (int i = 0; i < WEIGHTS; i++) {
                /* Signs persist for some weights, alternate or vanish for others; one pushes at the limit. */
                float base = i < 5 ? 1.0f : i == 5 ? 50.0f : i == 6 ? -50.0f : i < 12 ? 0.0f : 0.3f;
                slopes[i] = i == 7 ? 0 : base + uniform(-2, 2) * (i % 3 ? 1.0f : 20.0f);
                ann->train_slopes[i] = slopes[i];
            }
            if (algorithm == 0) fann_update_weights_batch(ann, ROWS, 0, WEIGHTS);
            if (algorithm == 1) fann_update_weights_quickprop(ann, ROWS, 0, WEIGHTS);
            if (algorithm == 2) fann_update_weights_irpropm(ann, 0, WEIGHTS);
            if (algorithm == 3) fann_update_weights_sarprop(ann, epoch - 1, 0, WEIGHTS);
            for (int i = 0; i < WEIGHTS; i++)
                printf("%s,%d,%d,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g\n", names[algorithm], epoch, i, slopes[i], (float)rand_value / RAND_MAX,
                       fann_get_MSE(ann), ann->weights[i], ann->prev_steps[i], ann->prev_train_slopes[i]);
        }
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "activations")) activations();
    else if (argc == 2 && !strcmp(argv[1], "updates")) updates();
    else if (argc == 2 && !strcmp(argv[1], "errors")) errors();
    else return fprintf(stderr, "usage: fann_kernels activations|updates|errors\n"), 2;
    return 0;
}
