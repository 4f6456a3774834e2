"""What the fields of ``report.json``, and the CSV columns of the same names, mean: their units, ranges, and null."""

from __future__ import annotations

GLOSSARY: dict[str, str] = {
    # ------------------------------------------------------------ the document
    "$schema": "The id of the JSON Schema that describes this file; `advae report --schema` prints it.",
    "schema": "Version of this file: raised when a field is renamed, removed or means something else.",
    "headlines": "What is left of each pipeline that is not merely the counterpart of another.",
    "rows": "The accuracy table: one entry for each run and eps that is not merely the counterpart of another.",
    "Document.runs": "Every run that the report is about, as it is stored.",
    "pipelines": "Every classifier with what stands in front of it: results and threat models.",
    "Document.baselines": "Autoencoders beside baselines, which have learnt nothing, under the same attacks.",
    "Document.seeds": "The same attack on pipelines that differ in their seeds only; empty where there is but one.",
    "networks": "Every autoencoder and network that a run rests on, and those that were only looked at.",
    "threats": "What the attacker knows under each threat model of the runs, by its name.",
    "commands": "Shell commands that make all of this again, in an order that works; of the paper's experiment the "
    "first makes all of it.",
    # ------------------------------------------------------------ what was attacked
    "id": "The entry's id in the registry.",
    "name": "The pipeline in words: dataset, classifier, what stands in front of it, seeds other than 0.",
    "classifier": "The classifier's id in the registry.",
    "RowEntry.classifier": "Kind of the classifier: nn or mlp, a network, or lr, logistic regression.",
    "ContestEntry.classifier": "Kind of the classifier: nn or mlp, a network, or lr, logistic regression.",
    "classifier_id": "The classifier's id in the registry.",
    "autoencoder": "The id in the registry of the purifier in front of the classifier; null where there is none.",
    "RowEntry.autoencoder": "Kind of the purifier in front of the classifier; none where there is none.",
    "autoencoder_id": "The id in the registry of the purifier in front; null where there is none.",
    "rescale": "How the purifier's output becomes an image: intensity, scaled to the total of its input and clipped to "
    "0 to 1, or none, left as it is; null where there is no purifier.",
    "dataset": "The dataset's name; for one's own file, the name of the file.",
    "RunRecipe.dataset": "The images that were attacked.",
    "AutoencoderRecipe.dataset": "The images that it was trained on.",
    "ClassifierRecipe.dataset": "The images that it was trained on.",
    "DatasetRef.name": "The dataset's name; for one's own file, the name of the file.",
    "digest": "SHA-256 over the decoded arrays of the dataset, in hexadecimal digits.",
    "side": "Images are side x side pixels.",
    "classes": "One name for each label, from label 0 on.",
    "test_mse": "Mean squared error per pixel of purified test images; null for a classifier.",
    # ------------------------------------------------------------ the attack
    "run": "The run's id in the registry.",
    "runs": "The ids of the runs that the numbers come from.",
    "GapEntry.runs": "The ids of the two runs: oblivious, adaptive.",
    "method": "The attack, as `advae attack --method` takes it.",
    "threat": "What the attacker knows, as `advae attack --threat` takes it.",
    "norm": "The norm that bounds the perturbation: linf, the largest change of a pixel, or l2, Euclidean.",
    "eps": "The budget: radius of the norm's ball around the image, in units of an image's range, 0 to 1.",
    "RunRecipe.eps": "The budgets: radii of the norm's ball, in units of an image's range, 0 to 1.",
    "ScoresEntry.eps": "The budget of the attack, in units of an image's range; null for the unchanged images.",
    "target": "The label that the attack aims at; null for an attack that has no fixed one.",
    "clip": "Whether the perturbed image is projected into the budget and clipped to its range; without, it is no "
    "valid result.",
    "steps": "Steps of an iterative attack; null for one that has none.",
    "step_size": "Length of a step, in units of an image's range; null for the attack's own share of eps.",
    "restarts": "From how many random points the attack starts, the best of which counts; null or absent for an attack "
    "without a choice.",
    "loss": "What the attack climbs; null for one that has no choice.",
    "each_class": "True where all images of a class were drawn to be held out, so that one of them is trained on; "
    "absent elsewhere.",
    "protects": "Id of the classifier that the autoencoder was trained in front of and that stayed as it was; absent "
    "where there was none, or where it was trained along.",
    "origin": "Id of what the classifier's weights were taken from: another classifier, or the autoencoder that it was "
    "trained with; absent where it was trained by itself.",
    "activation": "Between the layers of a perceptron; absent for ReLU.",
    "narrow": "Width of the second hidden layer of a perceptron.",
    "AutoencoderRecipe.loss": "What training minimised; null for a baseline, which is not trained.",
    "LossHistory.loss": "Mean training loss of each epoch.",
    "LossHistory.clean_accuracy": "Share of the held-out training images that is classified correctly after each "
    "epoch; absent where training knows of no attack.",
    "attacked_accuracy": "Share of them that is classified correctly under a short PGD at the radius that is trained "
    "for; absent where training knows of no attack.",
    "validation_loss": "Mean loss of each epoch on the held-out part of the training images.",
    "limit": "How many test images were attacked; null for all.",
    "sample": "How they were chosen: stratified, drawn with each class in proportion; absent for the first ones.",
    "save_adversarial": "Whether all attacked images were kept with the run.",
    "seed": "Seed of all that is random in it.",
    "recipe_rev": "Revision of the code's result: raised when the same recipe gives other numbers.",
    "twin": "Id of the undefended classifier that an oblivious attacker differentiates; null for other attackers.",
    "surrogate": "Id of the pipeline of another seed that a transfer attacker differentiates; absent for other "
    "attackers.",
    "draws": "Over how many draws of a purifier that samples each gradient is averaged; absent for one that does not.",
    "queries": "How often a score-based attack may ask for each image; absent for other attacks.",
    "RunRecipe.precision": "Of the matrix products by which the attack was crafted; absent for float32, in which "
    "everything is scored.",
    "kind": "Kind of the entry: ae, an autoencoder or baseline; clf, a classifier; run, an attack.",
    # ------------------------------------------------------------ what came out
    "status": "Whether it was measured.",
    "with": "What the run measured behind the autoencoder; NOT RUN for a pipeline that has none.",
    "without": "The same attack at the same eps on the same images, without the autoencoder; NOT RUN where the "
    "registry holds no such run.",
    "MatchEntry.without": "Share of the images still classified correctly without any purifier, 0 to 1; NOT RUN where "
    "the registry holds no such run.",
    "n": "Number of test images.",
    "clean_accuracy": "Share of the unchanged images that are classified correctly, 0 to 1.",
    "clean_accuracy_interval": "Wilson's 95 % interval of the clean accuracy.",
    "accuracy": "Share of the images still classified correctly under attack, 0 to 1.",
    "accuracy_interval": "Wilson's 95 % interval of the accuracy under attack.",
    "attack_success_rate": "Share of the initially correct images that the attack turned, 0 to 1; null where none was "
    "correct.",
    "target_hit_rate": "Share of the images not of the target's class that ended in it, 0 to 1; null for an untargeted "
    "attack.",
    "targets": "The label aimed at for each true label, where targets come from the data; null for other attacks.",
    "linf_max": "Largest change of any pixel, in units of an image's range, measured on the result.",
    "l2_mean": "Mean Euclidean length of the perturbations, in units of an image's range.",
    "zero_gradient_fraction": "Share of the images whose first gradient is zero or not finite, 0 to 1.",
    "within_budget": "Whether the perturbation is a valid one: projected into the budget and clipped to its range.",
    "norm_max": "Largest perturbation in the attack's norm, in units of an image's range; null for a run from before "
    "it was measured.",
    "pixel_range": "Smallest and largest value of the attacked images; null where they were judged without being built "
    "(no-clip on a linear classifier), and for a run from before it was measured.",
    "finite": "Whether every pixel of the attacked images is finite; null for a run from before it was measured.",
    "accuracy_8bit": "Accuracy after the attacked images were rounded to 8 bits, 0 to 1; null where they are no "
    "images, or it was not measured.",
    "loss_curve": "Pairs of steps and mean margin loss of the probed images, from the unchanged ones on; null where it "
    "was not measured.",
    "lost_fraction": "Share of the probed images that were misclassified on the way, or before, and are not at the "
    "end, 0 to 1; null where it was not measured.",
    "expected_accuracy": "Mean over the attacked images of the share of fresh draws on which a pipeline that samples "
    "is right, 0 to 1; left out where it does not sample, or it was not measured.",
    "results": "What the attack did at each eps, in the order of the recipe's.",
    "samples_digest": "SHA-256 over the attacked images and labels: equal for runs on the same; null for a run from "
    "before it was measured.",
    "start_range": "Smallest and largest value of what the perturbation is added to; null where it was not measured.",
    "class_counts": "How many of the attacked images are of each class, by label.",
    "predicted_counts": "How many of the attacked images were taken for each class before the attack, by label.",
    "test_counts": "How many images of the whole test set are of each class, by label; absent for a run from before it "
    "was kept.",
    "classes_predicted": "How many classes the pipeline takes the images of the whole test set for; absent where it "
    "was not counted.",
    "image_ranges": "Smallest and largest pixel of the whole dataset; absent for a run from before it was kept.",
    "train": "Smallest and largest pixel of the training images, in units of an image's range.",
    "test": "Smallest and largest pixel of the test images, in units of an image's range.",
    "clipped_fraction": "Share of the purified pixels at which clipping stops the gradient, 0 to 1; null where it was "
    "not measured.",
    "probabilities": "Whether the classifier gives probabilities instead of logits; null where it was not measured.",
    "stochastic": "Whether two draws of the pipeline differ; null where it was not measured.",
    "fresh_draws": "By how many draws of a pipeline that samples, which no attack saw, the success rate of each image "
    "is measured; left out where it does not sample, or it was not measured.",
    "clean_expected_accuracy": "The same as expected_accuracy, of the unchanged images.",
    "backward": "Whether the attacker differentiates the pipeline itself (exact), or takes a purifier without "
    "derivative for the identity; null where it was not measured.",
    "mcnemar_p": "How likely so large a difference between with and without is by accident, 0 to 1: McNemar's exact "
    "test on the same images; null where there is no such pair.",
    "notes": "Warnings about the row, the worst first.",
    "imported": "When the entry came from a bundle, in UTC: its numbers were measured elsewhere, and what follows from "
    "the stored outcomes was computed again here; null for one that was made here.",
    "RowEntry.imported": "Ids of what came from a bundle: the run, or an entry that it rests on; empty where nothing "
    "did.",
    "HeadlineEntry.imported": "Ids of what came from a bundle: the run of the headline number, or an entry that it "
    "rests on; empty where nothing did.",
    # ------------------------------------------------------------ what is left, and can it be believed
    "collapsed": "Whether one class is predicted whatever the image, so that an attack has nothing to take.",
    "robustness_established": "Whether an adaptive attack with usable gradients was run at the eps of the strongest "
    "attack, or above.",
    "strongest": "The headline number: what the strongest adaptive attack leaves, at the eps of the pipeline's kind, "
    "on the most images unless fewer refute it; where there is none, the strongest valid attack on the images; NOT RUN "
    "where there is none either.",
    "by_threat": "What the strongest attack of each threat model leaves, by the name of the threat model.",
    "illusion_gaps": "How much of what the defence seems worth is the attacker's ignorance, at each eps; empty where "
    "an oblivious or an adaptive run is missing.",
    "illusion_gap_command": "What would run that which the illusion gap lacks; null where nothing is, or nothing tells "
    "how.",
    "oblivious": "Accuracy that the strongest attacker leaves who does not know of the defence, 0 to 1.",
    "adaptive": "Accuracy that the strongest attacker leaves who knows everything, 0 to 1.",
    "gap": "Oblivious minus adaptive, -1 to 1.",
    "verdicts": "What each check found.",
    "HeadlineEntry.checks": "How many of the pipeline's checks ended with each status.",
    "subject": "What the results are about: the strongest adaptive attack; NOT RUN where there is no valid one.",
    "check": "The check's name.",
    "place": "The check's number in the list of checks; absent for a check of a later version.",
    "question": "What the check asks; absent for a check of a later version.",
    "JudgedVerdict.status": "PASS, WARN, FAIL, or NOT RUN where what it needs was not run.",
    "CheckResult.status": "PASS, WARN, FAIL, or NOT RUN where what it needs was not run.",
    "other_norms": "The same in every other norm that the pipeline was attacked in.",
    "failures": "Every check that fails; `report --strict` and `attack --fail-under` count these.",
    "FailureEntry.eps": "The budget that it was found at; null for what a run stored, which is on all its eps.",
    "headline": "Whether it fails on the headline number of its pipeline, which is not reliable then.",
    "sentence": "What was found, for people.",
    "number": "What the sentence stands on, in the check's own unit; null where it is no number.",
    "ladder": "What each threat model leaves, the weakest attacker first.",
    "worst": "The strongest valid attack at each norm and eps; NOT RUN where there is none.",
    # ------------------------------------------------------------ beside each other
    "missing": "The kinds of baselines that were not run under every attack that is compared.",
    "command": "One line that runs the missing baselines; null where none is missing.",
    "matches": "The attacks that an autoencoder and a baseline both met.",
    "baselines": "What is left behind each baseline.",
    "autoencoders": "What is left behind each autoencoder.",
    "type": "Kind of the purifier, as `advae train-ae --type` takes it.",
    "benefit": "Accuracy behind the purifier minus accuracy without, -1 to 1; null where the latter was not run.",
    "seeds": "How many pipelines there are.",
    "mean": "Mean of their accuracies under attack, 0 to 1.",
    "minimum": "Smallest of their accuracies under attack, 0 to 1.",
    "maximum": "Largest of their accuracies under attack, 0 to 1.",
    # ------------------------------------------------------------ by class
    "scores": "Confusion matrix and classification report of the unchanged images, then of those at each eps.",
    "confusion_matrix": "Number of images by true label (outer) and predicted label (inner); null for more than 100 "
    "classes, which have confusion_counts.",
    "confusion_counts": "What the confusion matrix of more than 100 classes has above 0: true label, predicted label, "
    "number of images; absent for fewer classes.",
    "classification_report": "scikit-learn's report: the scores of each label by its number, their averages `macro "
    "avg` and `weighted avg`, and `accuracy`.",
    "precision": "Share of the images taken for the class that are of it, 0 to 1; 0 where none was.",
    "recall": "Share of the class's images that are taken for it, 0 to 1; 0 where there is none.",
    "f1-score": "Harmonic mean of precision and recall, 0 to 1.",
    "support": "Number of images of the class.",
    # ------------------------------------------------------------ what was trained
    "recipe": "All that decides the result.",
    "metrics": "What was measured.",
    "history": "Loss by epoch.",
    "model": "Kind of the classifier: nn or mlp, a network, or lr, logistic regression.",
    "network": "Shape and training; null for a baseline, which is not trained.",
    "options": "Options that only this type of autoencoder has, by name.",
    "ClassifierRecipe.options": "Shape and training of a network, or the options of a logistic regression.",
    "hidden": "Size of the two hidden layers.",
    "code": "Size of the layer between them.",
    "activations": "Of the first hidden layer, the code, the second hidden layer and the output.",
    "epochs": "How often training went through the images.",
    "batch_size": "Images in a step of training.",
    "learning_rate": "Adam's learning rate at the beginning.",
    "C": "Inverse strength of the regularisation, for pixels in 0 to 1.",
    "intercept": "Whether there is a constant term.",
    "max_iter": "At most so many iterations.",
}
"""By the field's name; ``Model.field`` where a model means something else by it."""
